"""The endpoints as an ASGI application, on Starlette, which does routing, CORS and lifespan.

This module translates between ASGI's messages and the values in `messages`, and bounds the size of bodies.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tenure.async_sessions import AsyncTenure
from tenure.core.errors import TenureError
from tenure.http.messages import MAX_BODY_BYTES, NO_SNIFFING, BodyTooLarge, NotFound, Request, Response
from tenure.http.routes import ROUTES, Table, below
from tenure.http.service import Endpoint, Service, answer, endpoint_for, error_response
from tenure.sessions import Tenure

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def application(
    auth: AsyncTenure,
    service: Service,
    *,
    lifespan: Lifespan | None = None,
    root_path: str = "",
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """All endpoints of `service`, driven by `auth`, as an ASGI application.

    root_path: the path that a proxy puts before it, whether or not the proxy strips it. middleware: goes around the
    endpoints, inside CORS.
    """
    origins = sorted(service.cookies.allowed_origins) if service.cookies else []
    cors = Middleware(
        _Cors,
        allow_origins=origins,
        allow_credentials=True,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["authorization", "content-type", "dpop", "idempotency-key"],
        expose_headers=EXPOSED,
    )
    rooted = Middleware(_Rooted, root_path=root_path)
    table = below(service.prefix, ROUTES)
    direct = Middleware(_Direct, resources=_resources(auth, service, table))
    starlette = Starlette(
        routes=routes_of(auth, service, table),
        middleware=[*([rooted] if root_path else []), *([cors] if origins else []), *middleware, direct],
        exception_handlers={HTTPException: _not_found, Exception: _failed},
        lifespan=lifespan,
    )
    starlette.router.redirect_slashes = False  # a redirect would send a login's password twice
    return starlette


EXPOSED = ("WWW-Authenticate", "Retry-After", "DPoP-Nonce")
"""What a page of another origin must be able to read of a response, to know that it may refresh, when, and how."""


class _Cors(CORSMiddleware):
    """Starlette's CORS middleware, with our headers on its own responses."""

    def preflight_response(self, request_headers: Headers) -> StarletteResponse:
        response = super().preflight_response(request_headers)
        response.headers[NO_SNIFFING[0]] = NO_SNIFFING[1]
        return response


class _Rooted:
    """Sets the path that a proxy puts before the application."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "root_path": scope.get("root_path") or self._root_path}, receive, send)


class _Direct:
    """Looks a path up, where Starlette would try one route after the other. Paths with parameters it leaves to them."""

    def __init__(self, app: ASGIApp, resources: "Mapping[str, _Resource]") -> None:
        self._app = app
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = scope["type"] == "http" and not scope.get("root_path")
        await (self._resources.get(scope["path"], self._app) if known else self._app)(scope, receive, send)


def routes_of(auth: AsyncTenure | Tenure, service: Service, table: Table) -> list[BaseRoute]:
    """The endpoints of `table` as routes of Starlette."""
    return [Route(path, resource) for path, resource in _resources(auth, service, table).items()]


def _resources(auth: AsyncTenure | Tenure, service: Service, table: Table) -> "dict[str, _Resource]":
    return {path: _Resource(auth, service, endpoints) for path, endpoints in table.items()}


class _Resource:
    """All endpoints of one path. A class, as Starlette takes plain functions for endpoints of its own kind."""

    def __init__(self, auth: AsyncTenure | Tenure, service: Service, endpoints: Mapping[str, Endpoint]) -> None:
        self._run = auth.arun if isinstance(auth, Tenure) else auth.run
        self._service = service
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            endpoint = endpoint_for(self._endpoints, scope["method"])
            request = request_of(scope, await _body(receive))
        except TenureError as problem:
            response = error_response(problem)
        else:
            response = await self._run(answer(endpoint, self._service, request))
        await send_response(response, send)


async def send_response(response: Response, send: Send) -> None:
    """Send a whole response."""
    await send({"type": "http.response.start", "status": response.status, "headers": _raw_headers(response)})
    await send({"type": "http.response.body", "body": response.body})


def request_of(scope: Scope, body: bytes = b"") -> Request:
    """Convert an ASGI request."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    if root and f"{path}/".startswith(f"{root}/"):  # some servers and mounts leave the root in the path
        path = path[len(root) :]
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        joint = "; " if key == "cookie" else ", "
        headers[key] = f"{headers[key]}{joint}{text}" if key in headers else text
    return Request(
        method=scope["method"],
        path=path,
        root=root,
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        address=scope["client"][0] if scope["client"] else "",
        path_parameters=scope.get("path_params", {}),
    )


async def _body(receive: Receive) -> bytes:
    """Read the whole body. Raises BodyTooLarge as soon as it exceeds the limit."""
    body = b""
    while True:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return body


def _raw_headers(response: Response) -> list[tuple[bytes, bytes]]:
    length = [] if response.status == 204 else [(b"content-length", str(len(response.body)).encode())]
    return [*length, *((name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers)]


async def _not_found(_: StarletteRequest, __: Exception) -> StarletteResponse:
    return starlette_response(error_response(NotFound("There is nothing at this address.")))


async def _failed(_: StarletteRequest, __: Exception) -> StarletteResponse:
    """Respond to an unexpected exception. Starlette passes it on to the server's log; the response reveals nothing."""
    return starlette_response(
        error_response(TenureError("Something went wrong here. Try again; if that does not help, log in again."))
    )


def starlette_response(response: Response) -> StarletteResponse:
    """Convert a response to Starlette's."""
    answer = StarletteResponse(response.body, response.status)
    answer.raw_headers = _raw_headers(response)
    return answer
