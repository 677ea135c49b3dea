"""For FastAPI applications: the endpoints, dependencies for the current session, and the OpenAPI page.

sessions = Sessions(auth, authenticator=people)
app = FastAPI(lifespan=sessions.lifespan)
add_sessions(app, sessions)

@app.get("/notes")
async def notes(session: CurrentSession): …
"""

import json
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Security, WebSocket, WebSocketException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from tenure.core import step_up
from tenure.core.access import Claims
from tenure.core.errors import InvalidAccessToken, TenureError
from tenure.core.step_up import Requirement
from tenure.http.openapi import DESCRIPTION
from tenure.http.service import at_prefix
from tenure.integrations.embedded import check_granted
from tenure.integrations.starlette import Sessions, refuse

__all__ = [
    "CurrentSession",
    "CurrentUser",
    "PageSession",
    "Sessions",
    "WebSocketSession",
    "acr",
    "add_sessions",
    "recent",
    "role",
    "scope",
]

_POLICY_VIOLATION = 1008
_scheme = HTTPBearer(scheme_name="access_token", bearerFormat="JWT", auto_error=False)


def add_sessions(app: FastAPI, sessions: Sessions) -> None:
    """Serve the endpoints of `sessions` (/auth/…), and make `current_session` work.

    Errors of tenure get the endpoints' responses. The OpenAPI page shows the endpoints beside the application's.
    """
    app.state.tenure = sessions
    app.router.routes.extend(sessions.routes)
    app.add_exception_handler(TenureError, refuse)
    own = app.openapi

    def described() -> dict[str, Any]:
        document = own()
        for path, description in DESCRIPTION["paths"].items():
            mounted = at_prefix(path, sessions.service.prefix)
            if mounted in sessions.table:
                document["paths"].setdefault(mounted, _renamed(description))
        components = document.setdefault("components", {})
        known = _renamed(DESCRIPTION["components"]["schemas"])
        components.setdefault("schemas", {}).update({f"{_PREFIX}{name}": schema for name, schema in known.items()})
        schemes = components.setdefault("securitySchemes", {})
        schemes.setdefault("access_token", DESCRIPTION["components"]["securitySchemes"]["access_token"])
        return document

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's own way to extend the document


_PREFIX = "Tenure"


def _renamed(part: dict[str, Any]) -> dict[str, Any]:
    """Rename the schemas of our document, so that they can't clash with the application's."""
    renamed: dict[str, Any] = json.loads(
        json.dumps(part).replace("#/components/schemas/", f"#/components/schemas/{_PREFIX}")
    )
    return renamed


async def current_session(
    request: Request,
    scopes: SecurityScopes,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)],
) -> Claims:
    """The claims of the request's access token. Raises InvalidAccessToken, and InsufficientScope if it lacks a
    scope."""
    sessions: Sessions = request.app.state.tenure
    claims = await sessions.of(request)
    check_granted(claims, scopes.scope_str)
    return claims


async def _page_session(request: Request) -> Claims:
    sessions: Sessions = request.app.state.tenure
    return await sessions.of_page(request)


PageSession = Annotated[Claims, Depends(_page_session)]
"""As CurrentSession, for pages that carry no JavaScript: the access token may be in its cookie, and a navigation whose
token has expired is sent through /auth/continue and back."""


async def _current_user(session: Annotated[Claims, Depends(current_session)]) -> str:
    return session.subject


CurrentSession = Annotated[Claims, Depends(current_session)]
"""A parameter of this type is what the request's access token says; 401 where it has none that is valid."""

CurrentUser = Annotated[str, Depends(_current_user)]
"""A parameter of this type is the subject of the request's access token."""


def scope(*names: str) -> Any:
    """A dependency that requires these scopes; 403 otherwise.

    Use it in `dependencies=[scope("notes:write")]`, or as the default of a parameter that gets the session.
    """
    return Security(current_session, scopes=list(names))


def role(name: str, claim: str = "roles") -> Any:
    """A dependency that requires this role in a list among the application's claims; 403 otherwise."""

    async def check(session: CurrentSession) -> Claims:
        check_granted(session, role=name, claim=claim)
        return session

    return Depends(check)


def recent(*, minutes: float = 0.0, seconds: float = 0.0) -> Any:
    """A dependency that requires that the user was authenticated within this time; 401 otherwise (RFC 9470)."""
    return _needs(step_up.recent(minutes=minutes, seconds=seconds))


def acr(*values: str) -> Any:
    """A dependency that requires that the authentication was of one of these classes; 401 otherwise (RFC 9470)."""
    return _needs(step_up.acr(*values))


def _needs(requirement: Requirement) -> Any:
    async def check(request: Request, session: CurrentSession) -> Claims:
        sessions: Sessions = request.app.state.tenure
        requirement.check(session, sessions.auth.issuer.now())
        return session

    return Depends(check)


async def _websocket_session(websocket: WebSocket) -> Claims:
    sessions: Sessions = websocket.app.state.tenure
    try:
        return await sessions.of(websocket)
    except InvalidAccessToken as refused:
        raise WebSocketException(_POLICY_VIOLATION, str(refused)) from refused


WebSocketSession = Annotated[Claims, Depends(_websocket_session)]
"""As CurrentSession, for a WebSocket: refused before it is accepted. Accept it with `subprotocol="bearer"` where the
browser offered that, and keep it open within `sessions.closing(websocket, session)`."""
