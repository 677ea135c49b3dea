"""Who am I, with Starlette and its AuthenticationMiddleware. Run it: uvicorn examples.starlette_notes:app."""

import os

from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tenure import AsyncTenure
from tenure.integrations.starlette import Sessions, refuse

auth = AsyncTenure(
    os.environ.get("NOTES_STORE", "sqlite:///notes.db"),
    secret=os.environ.get("NOTES_SECRET", "for-this-example-only-0123456789-abcdef"),
    issuer="http://127.0.0.1:8000",
    audience="notes",
)
sessions = Sessions(auth)


async def login(request: Request) -> Response:
    """An application's own way in: a code by mail, a passkey, whatever has authenticated the person."""
    pair = await auth.login((await request.json())["name"], scope="notes", device=request.headers["user-agent"])
    return sessions.answer(pair, request)


@requires("notes", status_code=401)
async def whoami(request: Request) -> JSONResponse:
    return JSONResponse({"user": request.user.display_name})


app = Starlette(
    routes=[*sessions.routes, Route("/login", login, methods=["POST"]), Route("/whoami", whoami)],
    middleware=[Middleware(AuthenticationMiddleware, backend=sessions.backend, on_error=refuse)],
    lifespan=sessions.lifespan,
)
