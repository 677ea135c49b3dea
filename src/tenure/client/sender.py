"""Sending a session's own requests: with a deadline each, and again, after a jittered pause, where that may help."""

from typing import Any

import httpx2
import stamina

from tenure.client.core import Answer, retry_after
from tenure.client.endpoints import Post

LONGEST_PAUSE = 5.0


class _Again(Exception):
    """The same request is to be sent again; `pause` is how long the server asks to wait, in seconds, or 0."""

    def __init__(self, answer: Answer | None, pause: float) -> None:
        super().__init__()
        self.answer, self.pause = answer, pause


class Sender:
    """Sends. timeout: for one try, in seconds. attempts, patience: how many tries, in how many seconds."""

    def __init__(self, timeout: float, attempts: int, patience: float) -> None:
        self._timeout, self._patience = timeout, patience
        self._retrying: dict[str, Any] = {
            "on": self._pause,
            "attempts": attempts,
            "timeout": patience,
            "wait_max": LONGEST_PAUSE,
        }

    def send(self, post: Post | None) -> Answer | None:
        """The answer, as good as it got; None where none came."""
        if post is None:
            return None
        try:
            for attempt in stamina.retry_context(**self._retrying):
                with attempt:
                    return _definite(self._once(post))
        except _Again as last:
            return last.answer
        raise AssertionError("a retry context ends by an answer or an exception")

    async def asend(self, post: Post | None) -> Answer | None:
        """As `send`."""
        if post is None:
            return None
        try:
            async for attempt in stamina.retry_context(**self._retrying):
                with attempt:
                    return _definite(await self._aonce(post))
        except _Again as last:
            return last.answer
        raise AssertionError("a retry context ends by an answer or an exception")

    def _pause(self, problem: Exception) -> bool | float:
        """How long to wait before the next try, in seconds; True: as long as the retry library says; False: no more."""
        if not isinstance(problem, _Again) or problem.pause > self._patience:
            return False
        return problem.pause or True

    def _once(self, post: Post) -> Answer | None:
        try:
            with httpx2.Client(timeout=self._timeout) as http:
                return _answer(http.post(post.url, headers=post.headers, content=post.body))
        except httpx2.RequestError:
            return None

    async def _aonce(self, post: Post) -> Answer | None:
        try:
            async with httpx2.AsyncClient(timeout=self._timeout) as http:
                return _answer(await http.post(post.url, headers=post.headers, content=post.body))
        except httpx2.RequestError:
            return None


def _answer(response: httpx2.Response) -> Answer:
    return Answer(response.status_code, dict(response.headers), response.content)


def _definite(answer: Answer | None) -> Answer | None:
    pause = retry_after(answer)
    if pause is not None:
        raise _Again(answer, pause)
    return answer
