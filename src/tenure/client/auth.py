"""A session as the `auth` of the HTTP clients that people use: httpx, httpx2 and requests, blocking and asyncio.

One object serves all of them. It puts the access token on each request, and on a 401 that says that the token is
invalid it gets another and sends the request once more; a 401 after that is the caller's.
"""

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tenure.client.core import says_invalid

if TYPE_CHECKING:
    from tenure.client.session import Session

_log = logging.getLogger("tenure.client")

NOT_REPEATED = "The access token was refused, and the request was not repeated: its body is a stream, which is gone."


def _auth_classes() -> tuple[type, ...]:
    classes: list[type] = []
    for name in ("httpx", "httpx2"):
        with suppress(ModuleNotFoundError):
            classes.append(__import__(name).Auth)
    with suppress(ModuleNotFoundError):
        from requests.auth import AuthBase

        classes.append(AuthBase)
    return tuple(classes)


class SessionAuth(*_auth_classes()):  # type: ignore[misc]
    """Carries a session's access token. Raises OriginRefused for a request to where the token may not go."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """For httpx.Client: before the request, and after a refusal."""
        self._session.check_destination(str(request.url))
        repeatable = _is_repeatable(request)
        token = self._session.token(surely=not repeatable)
        response = yield _carrying(request, token)
        if _is_refused(response):
            if repeatable:
                yield _carrying(request, self._session.renewed(token))
            else:
                _explain(response)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """For httpx.AsyncClient: before the request, and after a refusal."""
        self._session.check_destination(str(request.url))
        repeatable = _is_repeatable(request)
        token = await self._session.atoken(surely=not repeatable)
        response = yield _carrying(request, token)
        if _is_refused(response):
            if repeatable:
                yield _carrying(request, await self._session.arenewed(token))
            else:
                _explain(response)

    def __call__(self, request: Any) -> Any:
        """For requests: before the request; a hook sees to what comes after."""
        self._session.check_destination(request.url)
        repeatable = request.body is None or isinstance(request.body, str | bytes)
        token = self._session.token(surely=not repeatable)
        request.headers["Authorization"] = f"Bearer {token}"

        def repeat(response: Any, **how: Any) -> Any:
            # A redirected response belongs to another request, which requests has stripped of the token if need be.
            if response.request.headers.get("Authorization") != f"Bearer {token}":
                return response
            if not says_invalid(response.status_code, response.headers.get("WWW-Authenticate", "")):
                return response
            if not repeatable:
                response.reason = NOT_REPEATED
                _log.warning(NOT_REPEATED)
                return response
            response.content  # noqa: B018 - read to its end, so that the connection can be used again
            response.close()
            again = response.request.copy()
            again.hooks["response"] = []
            again.headers["Authorization"] = f"Bearer {self._session.renewed(token)}"
            repeated = response.connection.send(again, **how)
            repeated.history.append(response)
            repeated.request = again
            return repeated

        request.register_hook("response", repeat)
        return request


def _carrying(request: Any, token: str) -> Any:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _is_repeatable(request: Any) -> bool:
    """Whether a request's body is at hand, and not a stream that is gone once it was sent."""
    try:
        request.content  # noqa: B018 - raises RequestNotRead for a stream
    except Exception:  # noqa: BLE001 - httpx's and httpx2's RequestNotRead are two classes
        return False
    return True


def _is_refused(response: Any) -> bool:
    return says_invalid(response.status_code, response.headers.get("www-authenticate", ""))


def _explain(response: Any) -> None:
    """The 401 is the caller's; `extensions["tenure"]` and the log say why nothing more was tried."""
    response.extensions["tenure"] = NOT_REPEATED
    _log.warning(NOT_REPEATED)
