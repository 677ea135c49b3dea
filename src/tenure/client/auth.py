"""A session as the `auth` of an HTTP client: httpx, httpx2 or requests, blocking or asyncio.

One object serves all of them. It adds the access token to each request. When a 401 says that the token is invalid, it
gets a new one and repeats the request: once, or twice if the first replacement came from the storage and was refused as
well. The caller gets any 401 after that. When a 401 asks the user to authenticate once more, the application is asked,
and the request repeated after it has done so.
"""

import logging
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import suppress
from typing import Any, Protocol

from tenure.client.core import says_invalid
from tenure.client.refusals import REFUSES_ALL
from tenure.client.stepping_up import SteppingUp, required_by

_log = logging.getLogger("tenure.client")

_MOST_REPEATS = 2
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


class _Tokens(Protocol):
    """The source of access tokens: a `tenure.client.Session`."""

    def check_destination(self, url: str) -> None: ...
    def token(self, *, surely: bool = False) -> str: ...
    async def atoken(self, *, surely: bool = False) -> str: ...
    def renewed(self, refused: str | None) -> str: ...
    async def arenewed(self, refused: str | None) -> str: ...
    def may_help(self, url: str, refused: str) -> bool: ...
    def repeated(self, url: str, *, refused: bool) -> bool: ...
    def headers_with(self, token: str, method: str, url: str) -> dict[str, str]: ...
    def asks_for_nonce(self, url: str, status: int, headers: Mapping[str, str]) -> bool: ...
    @property
    def stepping_up(self) -> SteppingUp: ...


class SessionAuth(*_auth_classes()):  # type: ignore[misc]
    """Adds a session's access token to requests. Raises OriginRefused for a request to an origin that may not get
    it."""

    def __init__(self, session: _Tokens) -> None:
        self._session = session

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """For httpx.Client: before the request, and after a refusal."""
        url = str(request.url)
        self._session.check_destination(url)
        repeatable = _is_repeatable(request)
        token = self._session.token(surely=not repeatable)
        response = yield self._carrying(request, token)
        if self._asks_for_nonce(response, url) and repeatable:
            response = yield self._carrying(request, token)
        asked = False
        for _ in range(_MOST_REPEATS):
            if not asked and (required := required_by(response)) is not None:
                asked = True
                self._session.stepping_up.ask(required, repeatable=repeatable)
            elif not _is_refused(response) or self._is_final(response, url, token, repeatable):
                return
            token = self._session.renewed(token)
            response = yield self._carrying(request, token)
            self._learn(response, url)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """For httpx.AsyncClient: before the request, and after a refusal."""
        url = str(request.url)
        self._session.check_destination(url)
        repeatable = _is_repeatable(request)
        token = await self._session.atoken(surely=not repeatable)
        response = yield self._carrying(request, token)
        if self._asks_for_nonce(response, url) and repeatable:
            response = yield self._carrying(request, token)
        asked = False
        for _ in range(_MOST_REPEATS):
            if not asked and (required := required_by(response)) is not None:
                asked = True
                await self._session.stepping_up.aask(required, repeatable=repeatable)
            elif not _is_refused(response) or self._is_final(response, url, token, repeatable):
                return
            token = await self._session.arenewed(token)
            response = yield self._carrying(request, token)
            self._learn(response, url)

    def __call__(self, request: Any) -> Any:
        """For requests: before the request; a hook handles the response."""
        self._session.check_destination(request.url)
        repeatable = request.body is None or isinstance(request.body, str | bytes)
        token = self._session.token(surely=not repeatable)
        self._carrying(request, token)

        def repeat(response: Any, **how: Any) -> Any:
            carried, asked = token, False
            for _ in range(_MOST_REPEATS):
                # The response to a redirect belongs to another request. The library removes the token from it if
                # necessary.
                if response.request.headers.get("Authorization", "").partition(" ")[2] != carried:
                    return response
                wants_nonce = self._asks_for_nonce(response, response.request.url) and repeatable
                required = None if asked else required_by(response)
                if required is None and not wants_nonce:
                    if not _is_refused(response):
                        return response
                    if self._is_final(response, response.request.url, carried, repeatable):
                        return response
                response.content  # noqa: B018 - read to its end, so that the connection can be used again
                response.close()
                if required is not None:
                    asked = True
                    self._session.stepping_up.ask(required, repeatable=repeatable)
                carried = carried if wants_nonce else self._session.renewed(carried)
                again = self._carrying(response.request.copy(), carried)
                again.hooks["response"] = []
                repeated = response.connection.send(again, **how)
                repeated.history.append(response)
                repeated.request = again
                response = repeated
                self._learn(response, again.url)
            return response

        request.register_hook("response", repeat)
        return request

    def _carrying(self, request: Any, token: str) -> Any:
        request.headers.update(self._session.headers_with(token, request.method, str(request.url)))
        return request

    def _asks_for_nonce(self, response: Any, url: str) -> bool:
        return self._session.asks_for_nonce(url, response.status_code, response.headers)

    def _is_final(self, response: Any, url: str, refused: str, repeatable: bool) -> bool:
        """Whether the caller gets this refusal. If so, tell them why nothing more is tried."""
        if not repeatable:
            _explain(response, NOT_REPEATED, logging.WARNING)
            return True
        if not self._session.may_help(url, refused):
            _explain(response, REFUSES_ALL, logging.DEBUG)
            return True
        return False

    def _learn(self, response: Any, url: str) -> None:
        if self._session.repeated(url, refused=_is_refused(response)):
            _explain(response, REFUSES_ALL, logging.WARNING)


def _is_repeatable(request: Any) -> bool:
    """Whether the body can be sent again: a stream can't."""
    try:
        request.content  # noqa: B018 - raises RequestNotRead for a stream
    except Exception:  # noqa: BLE001 - httpx's and httpx2's RequestNotRead are two classes
        return False
    return True


def _is_refused(response: Any) -> bool:
    return says_invalid(response.status_code, response.headers.get("www-authenticate", ""))


def _explain(response: Any, why: str, level: int) -> None:
    """Say why nothing more is tried, in the log and with the 401: in httpx's extensions or in requests' reason."""
    _log.log(level, why)
    if hasattr(response, "extensions"):
        response.extensions["tenure"] = why
    else:
        response.reason = why
