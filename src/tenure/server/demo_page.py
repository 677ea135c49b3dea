"""The demo's page at `/`, and the channel that feeds it, which exist only in a demo.

The channel reveals what a real service never does: the refresh token in the browser's cookie (so that it can be
stolen), the demo account's password, and the service's events as they happen. It can also lose a response. Only `serve
--demo` adds it, which serves this machine alone.
"""

import asyncio
import json
import mimetypes
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from importlib import resources

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tenure.async_sessions import AsyncTenure
from tenure.core.events import Event
from tenure.http.cookies import CookieTransport
from tenure.http.sessions import described
from tenure.server.accounts import Accounts

ACCOUNT = "demo"

_NO_STORE = {"cache-control": "no-store"}
_HEARTBEAT_SECONDS = 10.0


class AnswerLost(Exception):
    """The server has done its work, and the response is lost."""


class DemoChannel:
    """What a demo adds to a service: an account, a page, and the page's channel."""

    def __init__(self, cookies: CookieTransport) -> None:
        self._cookies = cookies
        self._account = {"username": ACCOUNT, "password": secrets.token_urlsafe(9)}
        self._listeners: set[asyncio.Queue[Event]] = set()
        self._lose_next = False

    def open_account(self, accounts: Accounts) -> None:
        """Create the demo's account, or give it this run's password."""
        keep = accounts.change_password if ACCOUNT in accounts.names() else accounts.add
        keep(**self._account)

    def join(self, app: Starlette, auth: AsyncTenure) -> None:
        """Add the page and the channel to `app`."""
        app.router.routes[:0] = self._routes(auth)
        app.add_middleware(self._losing)

    def publish(self, event: Event) -> None:
        """Send an event to every open page."""
        for listener in self._listeners:
            listener.put_nowait(event)

    def _routes(self, auth: AsyncTenure) -> list[Route]:
        """The page, its files, and the channel (below /auth, where the cookie goes)."""

        async def token(request: Request) -> Response:
            return JSONResponse({"refresh_token": request.cookies.get(self._cookies.name)}, headers=_NO_STORE)

        async def account(_: Request) -> Response:
            return JSONResponse(self._account, headers=_NO_STORE)

        async def lose(_: Request) -> Response:
            self._lose_next = True
            return JSONResponse({}, headers=_NO_STORE)

        async def sessions(_: Request) -> Response:
            live = await auth.sessions(self._account["username"])
            return JSONResponse({"sessions": [described(session) for session in live]}, headers=_NO_STORE)

        async def events(_: Request) -> Response:
            return StreamingResponse(self._stream(), media_type="text/event-stream", headers=_NO_STORE)

        return [
            Route("/", _file("index.html")),
            *(Route(f"/demo/{name}", _file(name)) for name in ("page.css", "page.js", "family.js")),
            Route("/auth/demo/token", token),
            Route("/auth/demo/account", account),
            Route("/auth/demo/lose", lose, methods=["POST"]),
            Route("/auth/demo/sessions", sessions),
            Route("/auth/demo/events", events),
        ]

    def _losing(self, app: ASGIApp) -> ASGIApp:
        """Wrap `app` so that it can lose responses."""

        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            if not (self._lose_next and scope["type"] == "http" and self._is_the_browsers_refresh(scope)):
                await app(scope, receive, send)
                return
            self._lose_next = False
            await app(scope, receive, _swallow)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            raise AnswerLost

        return wrapped

    def _is_the_browsers_refresh(self, scope: Scope) -> bool:
        cookie = self._cookies.name.encode()
        return scope["path"] == "/auth/refresh" and any(
            name == b"cookie" and cookie in value for name, value in scope["headers"]
        )

    async def _stream(self) -> AsyncIterator[str]:
        listener: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.add(listener)
        try:
            while True:
                try:
                    event = await asyncio.wait_for(listener.get(), _HEARTBEAT_SECONDS)
                    yield f"data: {json.dumps(asdict(event))}\n\n"
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._listeners.discard(listener)


async def _swallow(_: Message) -> None:
    """Discard a lost response."""


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    content = (resources.files(__package__) / "page" / name).read_bytes()
    media_type = mimetypes.guess_type(name)[0]

    async def serve(_: Request) -> Response:
        return Response(content, media_type=media_type, headers=_NO_STORE)

    return serve
