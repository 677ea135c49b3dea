"""For fastapi-users: a backend whose logins last, with refresh tokens that rotate and sessions that end at once.

sessions = Sessions(auth)
backend = tenure_backend(sessions)
users = FastAPIUsers(get_user_manager, [backend])
app.include_router(users.get_auth_router(backend), prefix="/auth/jwt")  # its /login and /logout
add_sessions(app, sessions)                                            # /auth/refresh, /auth/sessions, …

fastapi-users keeps the users, and its `current_user` stays as it is.
"""

import asyncio
from typing import Any

from fastapi import Request
from fastapi.requests import HTTPConnection
from fastapi.security import OAuth2PasswordBearer
from fastapi_users.authentication import AuthenticationBackend, BearerTransport
from fastapi_users.exceptions import InvalidID, UserNotExists
from fastapi_users.manager import BaseUserManager

from tenure.core.errors import InvalidAccessToken
from tenure.core.issuer import TokenPair
from tenure.http.messages import no_content
from tenure.integrations.asgi import request_of, starlette_response
from tenure.integrations.starlette import Sessions, token_of
from tenure.sessions import Tenure


class TenureStrategy:
    """The sessions of one request, for fastapi-users. A user's id is the subject."""

    def __init__(self, sessions: Sessions, request: Request, lifetime: str = "") -> None:
        self.sessions = sessions
        self.request = request
        self._lifetime = lifetime

    async def read_token(self, token: str | None, user_manager: BaseUserManager[Any, Any]) -> Any:
        """The user of the request's access token, or None without a valid one."""
        if token is None:
            return None
        try:
            claims = await self.sessions.of(self.request)
            return await user_manager.get(user_manager.parse_id(claims.subject))
        except (InvalidAccessToken, InvalidID, UserNotExists):
            return None

    async def login(self, user: Any) -> TokenPair:
        """Begin a session of a user whom fastapi-users has authenticated."""
        client, auth = self.request.client, self.sessions.auth
        details: dict[str, Any] = {
            "device": self.request.headers.get("user-agent", "")[:1024],
            "address": "" if client is None else client.host,
            "lifetime": self._lifetime,
        }
        if isinstance(auth, Tenure):
            return await asyncio.to_thread(auth.login, str(user.id), **details)
        return await auth.login(str(user.id), **details)

    async def write_token(self, user: Any) -> str:
        """Begin a session, and return its access token alone."""
        return (await self.login(user)).access_token

    async def destroy_token(self, token: str, user: Any) -> None:  # noqa: ARG002 - the signature is fastapi-users'
        """End the session of the request's access token, at once."""
        claims, auth = await self.sessions.of(self.request), self.sessions.auth
        ended = {"reason": "logged_out", "by": "owner"}
        if isinstance(auth, Tenure):
            await asyncio.to_thread(auth.revoke, claims.session_id, **ended)
        else:
            await auth.revoke(claims.session_id, **ended)


class _Backend(AuthenticationBackend[Any, Any]):
    """Responds with both tokens, where fastapi-users knows of one."""

    def __init__(self, name: str, sessions: Sessions, token_url: str, *, cookie: bool, lifetime: str) -> None:
        transport = BearerTransport(token_url)
        transport.scheme = _Scheme(token_url, auto_error=False)
        self._cookie = cookie

        def strategy(request: Request) -> TenureStrategy:
            return TenureStrategy(sessions, request, lifetime)

        super().__init__(name, transport, strategy)

    async def login(self, strategy: Any, user: Any) -> Any:
        """Begin a session: the refresh token is in its cookie, or in the body."""
        pair = await strategy.login(user)
        return strategy.sessions.answer(pair, strategy.request, cookie=self._cookie)

    async def logout(self, strategy: Any, user: Any, token: str) -> Any:
        """End the session, and clear its cookies."""
        await strategy.destroy_token(token, user)
        cookies = strategy.sessions.service.cookies_of(request_of(strategy.request.scope))
        return starlette_response(no_content([] if cookies is None else cookies.clear()))


class _Scheme(OAuth2PasswordBearer):
    """Finds the token also where it is sent as DPoP (RFC 9449 section 7.1)."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        found = token_of(request)
        return None if found is None else found[0]


def tenure_backend(
    sessions: Sessions,
    name: str = "tenure",
    *,
    token_url: str = "auth/jwt/login",  # noqa: S107 - an address
    cookie: bool = False,
    lifetime: str = "",
) -> AuthenticationBackend[Any, Any]:
    """The backend. token_url: where its router's /login is, for the OpenAPI page. cookie: whether a login's refresh
    token is in its cookie, for the browser module, or in the body. lifetime: the name of one of the policy's."""
    return _Backend(name, sessions, token_url, cookie=cookie, lifetime=lifetime)
