"""For Starlette applications: the endpoints among the application's own routes, and who makes a request.

sessions = Sessions(auth, authenticator=people)
app = Starlette(routes=[*sessions.routes, …], lifespan=sessions.lifespan,
                middleware=[Middleware(AuthenticationMiddleware, backend=sessions.backend, on_error=refuse)])
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, BaseUser
from starlette.requests import HTTPConnection
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.websockets import WebSocket, WebSocketState

from tenure.access import Claims
from tenure.errors import InvalidAccessToken, TenureError
from tenure.http.asgi import routes_of, starlette_response
from tenure.http.cookies import CookieTransport
from tenure.http.embedded import embedded, own_endpoints
from tenure.http.messages import Request, bearer
from tenure.http.pages import page_answer, page_session
from tenure.http.service import Authenticator, NoAccessToken, Throttle, error_response, pair_response
from tenure.issuer import TokenPair
from tenure.sessions import AsyncTenure

SESSION_ENDED = 4401
"""The code that a WebSocket is closed with when its session has ended (RFC 6455 section 7.4.2: for private use)."""


class Sessions:
    """The sessions of an application.

    auth: the AsyncTenure. authenticator: knows people by name and password, for /auth/login; without one, the
    application has its own login and hands out pairs by `answer`. throttle: how often somebody may try; by default as
    `tenure serve` has it. cookies: how the refresh token's cookie is set; by default for the issuer's own origin.
    login_page: where a navigation goes that has no session, for pages that carry no JavaScript.
    """

    def __init__(
        self,
        auth: AsyncTenure,
        *,
        authenticator: Authenticator | None = None,
        throttle: Throttle | None = None,
        cookies: CookieTransport | None = None,
        login_page: str | None = None,
    ) -> None:
        self.auth = auth
        self.service = embedded(
            auth.issuer, authenticator=authenticator, throttle=throttle, cookies=cookies, login_page=login_page
        )
        self.table = own_endpoints(login=authenticator is not None)
        self.routes: list[BaseRoute] = routes_of(auth, self.service, self.table)
        self.backend = Backend(auth)

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Follow the store while the application runs, then let go of it."""
        async with self.auth:
            yield

    def answer(self, pair: TokenPair, *, cookie: bool = True) -> Response:
        """A pair as the answer of the application's own login: the refresh token in its cookie, or in the body."""
        return starlette_response(pair_response(self.service, pair, cookie=cookie))

    async def of(self, connection: HTTPConnection) -> Claims:
        """What the access token of a request says. Raises InvalidAccessToken."""
        token = token_of(connection)
        if token is None:
            raise NoAccessToken
        return await self.auth.verify(token)

    def answer_page(self, pair: TokenPair, to: str = "/") -> Response:
        """A pair as the answer of a login by a form: both tokens in cookies, and on to a path of this site."""
        return starlette_response(page_answer(self.service, pair, to))

    async def of_page(self, request: StarletteRequest) -> Claims:
        """What the access token of a page's request says, of the header or of its cookie.

        Raises InvalidAccessToken, and Answered where the navigation is sent to be refreshed.
        """
        if not self.auth.started:
            await self.auth.start()
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Request(request.method, request.url.path, request.url.query, headers)
        return page_session(self.service, asked)

    @asynccontextmanager
    async def closing(self, websocket: WebSocket, claims: Claims) -> AsyncIterator[None]:
        """While this lasts, `websocket` is closed (SESSION_ENDED) as soon as the session ends."""

        async def close() -> None:
            await self.auth.until_revoked(claims.session_id)
            if websocket.application_state is WebSocketState.CONNECTED:
                await websocket.close(SESSION_ENDED, "The session was ended.")

        watching = asyncio.create_task(close())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


class CurrentUser(BaseUser):
    """Who makes a request: `identity` is the subject, `claims` all that the access token says."""

    def __init__(self, claims: Claims) -> None:
        self.claims = claims

    @property
    def is_authenticated(self) -> bool:
        """Always so."""
        return True

    @property
    def display_name(self) -> str:
        """The subject."""
        return self.claims.subject

    @property
    def identity(self) -> str:
        """The subject."""
        return self.claims.subject


class Backend(AuthenticationBackend):
    """For Starlette's AuthenticationMiddleware: the token's scopes are the credentials. No token is nobody."""

    def __init__(self, auth: AsyncTenure) -> None:
        self._auth = auth

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """Who makes the request. Raises AuthenticationError for a token that is not valid."""
        token = token_of(conn)
        if token is None:
            return None
        try:
            claims = await self._auth.verify(token)
        except InvalidAccessToken as refused:
            raise AuthenticationError(str(refused)) from refused
        return AuthCredentials(["authenticated", *claims.scope.split()]), CurrentUser(claims)


def refuse(_: HTTPConnection, problem: Exception) -> Response:
    """What is answered to whom AuthenticationMiddleware refuses, or whose request met a TenureError."""
    cause = problem if isinstance(problem, TenureError) else problem.__cause__
    return starlette_response(error_response(cause if isinstance(cause, TenureError) else InvalidAccessToken()))


def token_of(connection: HTTPConnection) -> str | None:
    """The access token of a request: of its Authorization header, or, as browsers can't set that on a WebSocket, of its
    subprotocols: `new WebSocket(url, ["bearer", token])`."""
    header = bearer(Request("GET", "", headers={"authorization": connection.headers.get("authorization", "")}))
    offered = [part.strip() for part in connection.headers.get("sec-websocket-protocol", "").split(",")]
    if header is None and connection.scope["type"] == "websocket" and len(offered) == 2 and offered[0] == "bearer":
        return offered[1]
    return header
