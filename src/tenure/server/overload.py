"""Refuse refreshes that could not be answered in time, before any work is done for them.

After an outage that outlasts the access tokens, every client refreshes at once. Clients give up after some seconds, so
a long queue serves nobody: it works for those who have left. Here a refresh that would wait too long gets 503 with a
random `Retry-After`, and the others are served at full speed.

A client that comes back with the attempt key of a refused refresh may wait longer than one that comes for the first
time, so that nobody is refused again and again while others overtake them.
"""

import math
import random
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from tenure.core.errors import TenureError
from tenure.http.messages import RequestError
from tenure.http.service import error_response
from tenure.integrations.asgi import send_response

FIRST_SECONDS = 3.0
AGAIN_SECONDS = 6.0
LONGEST_SECONDS = 30
ALWAYS_SERVED = 256
SATURATED = 32
WINDOW_SECONDS = 0.25
ASSUMED_RATE = 500.0
REMEMBERED = 20_000


class Overloaded(RequestError):
    """More refreshes are waiting than can be answered in time."""

    status = 503
    code = "temporarily_unavailable"
    message = "Too many refreshes at once. Nothing has changed; try again shortly."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.headers = [("retry-after", str(retry_after))]


class Queue:
    """The refreshes under way in this process, and how many it completes in a second.

    The rate is measured only while there is always work: at other times it would say how few requests come.
    """

    def __init__(self, now: float) -> None:
        self.waiting = 0
        self._rate = ASSUMED_RATE
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._since, self._completed, self._saturated = now, 0, self.waiting >= SATURATED

    def entered(self) -> None:
        """A refresh begins."""
        self.waiting += 1

    def left(self, now: float) -> None:
        """A refresh is done, at `now` (seconds of a monotonic clock)."""
        self.waiting -= 1
        self._completed += 1
        self._saturated = self._saturated and self.waiting >= SATURATED
        elapsed = now - self._since
        if elapsed >= WINDOW_SECONDS:
            if self._saturated:
                self._rate += 0.5 * (self._completed / elapsed - self._rate)
            self._begin(now)

    def wait(self) -> float:
        """How many seconds a refresh that begins now would take, or 0 if that is not worth a thought."""
        return 0.0 if self.waiting < ALWAYS_SERVED else self.waiting / self._rate


class Shedding:
    """An ASGI middleware that refuses refreshes beyond what can be answered in time.

    prefix: the path of the endpoints for users' apps. refused: is told of each refusal.
    """

    def __init__(
        self,
        app: ASGIApp,
        prefix: str,
        refused: Callable[[TenureError], object],
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._app = app
        self._paths = (f"{prefix}/refresh", "/oauth/token")
        self._tell = refused
        self._clock = clock
        self._chance = chance
        self._queue = Queue(clock())
        self._refused: OrderedDict[int, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http" or not scope["path"].endswith(self._paths):
            await self._app(scope, receive, send)
            return
        wait, key = self._queue.wait(), _attempt_key(scope)
        if wait > FIRST_SECONDS and (wait > AGAIN_SECONDS or key not in self._refused):
            await self._refuse(wait, key, send)
            return
        if key is not None:
            self._refused.pop(key, None)
        self._queue.entered()
        try:
            await self._app(scope, receive, send)
        finally:
            self._queue.left(self._clock())

    async def _refuse(self, wait: float, key: int | None, send: Send) -> None:
        if key is not None:
            self._refused[key] = None
            if len(self._refused) > REMEMBERED:
                self._refused.popitem(last=False)
        later = 1 + math.floor(self._chance() * min(LONGEST_SECONDS, 2 * wait))
        problem = Overloaded(later)
        self._tell(problem)
        await send_response(error_response(problem), send)


def _attempt_key(scope: Scope) -> int | None:
    """What the attempt key of a request is remembered by: its hash, as the key itself is a secret."""
    return next((hash(value) for name, value in scope["headers"] if name == b"idempotency-key"), None)
