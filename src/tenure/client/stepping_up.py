"""A resource that asks for more than a valid token (RFC 9470): the application lets its user authenticate once more."""

import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Any

from tenure.client.errors import ClientEvent, StepUpRequired

StepUp = Callable[[StepUpRequired], bool | Awaitable[bool]]
"""Lets the user authenticate once more. Returns whether the request is to be repeated; plain or `async`."""

_CODE = 'error="insufficient_user_authentication"'
_MAX_AGE = re.compile(r'max_age="?(\d{1,9})')
_ACR_VALUES = re.compile(r'acr_values="([^"]*)"')


class SteppingUp:
    """What the application has said to do then. tell: reports an event."""

    def __init__(self, step_up: StepUp | None, tell: Callable[[ClientEvent], object]) -> None:
        self._step_up = step_up
        self._tell = tell

    def ask(self, required: StepUpRequired, *, repeatable: bool) -> None:
        """Let the application do it. Raises `required` if it doesn't, if it only can in asyncio code, or if the request
        can't be repeated."""
        done = self._begin(required, repeatable)
        if inspect.isawaitable(done):
            if inspect.iscoroutine(done):
                done.close()
            raise required
        if not done:
            raise required

    async def aask(self, required: StepUpRequired, *, repeatable: bool) -> None:
        """Like `ask`."""
        done = self._begin(required, repeatable)
        if not (await done if inspect.isawaitable(done) else done):
            raise required

    def _begin(self, required: StepUpRequired, repeatable: bool) -> Any:
        self._tell(ClientEvent("step_up_required", ", ".join(required.acr_values) or None))
        return repeatable and self._step_up is not None and self._step_up(required)


def required_by(response: Any) -> StepUpRequired | None:
    """What a response asks for, or None. The response is httpx's, httpx2's or requests'."""
    challenge = response.headers.get("www-authenticate", "")
    if response.status_code != 401 or _CODE not in challenge:
        return None
    age, values = _MAX_AGE.search(challenge), _ACR_VALUES.search(challenge)
    return StepUpRequired(None if age is None else int(age[1]), () if values is None else tuple(values[1].split()))
