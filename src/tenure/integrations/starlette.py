"""For Starlette applications: the endpoints as routes, and the current user.

sessions = Sessions(auth, authenticator=people)
app = Starlette(routes=[*sessions.routes, …], lifespan=sessions.lifespan,
                middleware=[Middleware(AuthenticationMiddleware, backend=sessions.backend, on_error=refuse)])
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, BaseUser
from starlette.background import BackgroundTask
from starlette.requests import HTTPConnection
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.websockets import WebSocket, WebSocketState

from tenure.async_sessions import AsyncTenure, until_revoked
from tenure.core.access import Claims
from tenure.core.errors import ConfigurationError, InvalidAccessToken, TenureError
from tenure.core.issuer import TokenPair
from tenure.http.auth import login_response
from tenure.http.cookies import Cookies, CookieTransport
from tenure.http.devices_page import DevicesPage
from tenure.http.messages import Request, access_token
from tenure.http.messages import Response as OurResponse
from tenure.http.pages import login_page_answer, page_session
from tenure.http.presented import end_replaced
from tenure.http.service import (
    PREFIX,
    PROOF,
    Authenticator,
    NoAccessToken,
    PasswordCheck,
    Service,
    Throttle,
    error_response,
)
from tenure.integrations.asgi import request_of, routes_of, starlette_response
from tenure.integrations.embedded import embedded, own_endpoints
from tenure.sessions import Tenure

SESSION_ENDED = 4401
"""The code that a WebSocket is closed with when its session has ended (RFC 6455 section 7.4.2: for private use)."""


class Sessions:
    """The sessions of an application.

    auth: an AsyncTenure, or a Tenure, whose methods the application's blocking code (`def` endpoints) can call.
    authenticator: checks names and passwords for /auth/login: an object with a method `authenticate`, or a function; if
    it is not async, it runs in a worker thread. Without one, the application has its own login and responds with
    `answer`. throttle: the rate limits; by default those of `tenure serve`. cookies: how the refresh token's cookie is
    set; by default for the issuer's own origin. login_page: where a navigation without a session is redirected, for
    pages without JavaScript. prefix: replaces /auth in the endpoints' paths. devices: what to change of the page
    /auth/devices.
    """

    def __init__(
        self,
        auth: AsyncTenure | Tenure,
        *,
        authenticator: Authenticator | PasswordCheck | None = None,
        throttle: Throttle | None = None,
        cookies: CookieTransport | None = None,
        login_page: str | None = None,
        prefix: str = PREFIX,
        devices: DevicesPage | None = None,
    ) -> None:
        if not isinstance(auth, AsyncTenure | Tenure):
            raise ConfigurationError(f"auth is an AsyncTenure or a Tenure, not {type(auth).__name__}.")
        self.auth = auth
        self.service = embedded(
            auth.issuer,
            authenticator=authenticator,
            throttle=throttle,
            cookies=cookies,
            login_page=login_page,
            prefix=prefix,
            devices=devices,
        )
        self.table = own_endpoints(login=authenticator is not None, prefix=prefix)
        self.routes: list[BaseRoute] = routes_of(auth, self.service, self.table)
        self.backend = Backend(auth, self.service)

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Follow the store while the application runs, then close it."""
        if isinstance(self.auth, Tenure):
            with self.auth:
                yield
        else:
            async with self.auth:
                yield

    def answer(self, pair: TokenPair, request: HTTPConnection, *, cookie: bool = True) -> Response:
        """The response of the application's own login: the refresh token in its cookie, or in the body.

        A session whose cookie is replaced ends once the response is sent.
        """
        cookies = self.service.cookies_of(request_of(request.scope)) if cookie else None
        return self._ending_replaced(login_response(self.service, pair, cookies), pair, cookies)

    async def of(self, connection: HTTPConnection) -> Claims:
        """The claims of a request's access token. Raises InvalidAccessToken."""
        return await _verified(self.auth, self.service, connection)

    def answer_page(self, pair: TokenPair, request: HTTPConnection, to: str = "/") -> Response:
        """The response of a login by a form: both tokens in cookies, and a redirect to a path of this site.

        A session whose cookie is replaced ends once the response is sent.
        """
        asked = request_of(request.scope)
        return self._ending_replaced(
            login_page_answer(self.service, asked, pair, to), pair, self.service.cookies_of(asked)
        )

    def _ending_replaced(self, response: OurResponse, pair: TokenPair, cookies: Cookies | None) -> Response:
        answered = starlette_response(response)
        if cookies is not None:
            run = self.auth.arun if isinstance(self.auth, Tenure) else self.auth.run
            answered.background = BackgroundTask(run, end_replaced(self.auth.issuer, cookies, pair.session_id))
        return answered

    async def of_page(self, request: StarletteRequest) -> Claims:
        """The claims of a page's access token, from the header or its cookie.

        Raises InvalidAccessToken, and Answered if the navigation is redirected to be refreshed.
        """
        if isinstance(self.auth, AsyncTenure) and not self.auth.started:
            await self.auth.start()
        return page_session(self.service, request_of(request.scope))

    @asynccontextmanager
    async def closing(self, websocket: WebSocket, claims: Claims) -> AsyncIterator[None]:
        """A context in which `websocket` is closed (SESSION_ENDED) as soon as the session ends."""

        async def close() -> None:
            await until_revoked(self.auth.issuer, claims.session_id)
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
    """The user of a request: `identity` is the subject, `claims` are the access token's."""

    def __init__(self, claims: Claims) -> None:
        self.claims = claims

    @property
    def is_authenticated(self) -> bool:
        """Always true."""
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
    """For Starlette's AuthenticationMiddleware, with the token's scopes as credentials."""

    def __init__(self, auth: AsyncTenure | Tenure, service: Service) -> None:
        self._auth = auth
        self._service = service

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """The user, or None without a token. Raises AuthenticationError for an invalid one."""
        try:
            claims = await _verified(self._auth, self._service, conn)
        except NoAccessToken:
            return None
        except InvalidAccessToken as refused:
            raise AuthenticationError(str(refused)) from refused
        return AuthCredentials(["authenticated", *claims.scope.split()]), CurrentUser(claims)


async def _verified(auth: AsyncTenure | Tenure, service: Service, connection: HTTPConnection) -> Claims:
    presented = token_of(connection)
    if presented is None:
        raise NoAccessToken
    token, with_proof = presented
    proof = connection.headers.get(PROOF, "") if with_proof else None
    asked = request_of({"method": "GET", **connection.scope})
    verified = auth.verify(token, proof=proof, method=asked.method, url=service.address_of(asked))
    return verified if isinstance(verified, Claims) else await verified


def refuse(_: HTTPConnection, problem: Exception) -> Response:
    """The response when AuthenticationMiddleware refuses a request, or a request raises a TenureError."""
    cause = problem if isinstance(problem, TenureError) else problem.__cause__
    return starlette_response(error_response(cause if isinstance(cause, TenureError) else InvalidAccessToken()))


def token_of(connection: HTTPConnection) -> tuple[str, bool] | None:
    """The access token of a request, and whether it is sent as DPoP.

    From its Authorization header, or from a WebSocket's subprotocols, as browsers can't set headers there:
    `new WebSocket(url, ["bearer", token])`.
    """
    authorization = {"authorization": connection.headers.get("authorization", "")}
    header = access_token(Request("GET", "", headers=authorization))
    offered = [part.strip() for part in connection.headers.get("sec-websocket-protocol", "").split(",")]
    if header is None and connection.scope["type"] == "websocket" and len(offered) == 2 and offered[0] == "bearer":
        return offered[1], False
    return header
