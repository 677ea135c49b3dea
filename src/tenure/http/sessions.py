"""For users: the list of their sessions, to see and to end them."""

from typing import Any

from tenure.core import existing
from tenure.core.access import Claims
from tenure.core.binding import bound_to
from tenure.core.calls import Get, ListSubject
from tenure.core.effects import Flow, call
from tenure.core.errors import InsufficientScope, InvalidRequest
from tenure.core.flows import FIRST_PARTY
from tenure.core.policy import REMEMBERED
from tenure.core.session import Session
from tenure.http.messages import NotFound, Request, Response, json_response, no_content, query
from tenure.http.service import Service, caller


def list_sessions(service: Service, request: Request) -> Flow[Response]:
    """GET /auth/sessions"""
    claims = owner(service, request)
    sessions = yield from call(ListSubject(claims.subject, service.issuer.now()))
    return json_response({"sessions": [{**described(one), "current": one.id == claims.session_id} for one in sessions]})


def end_session(service: Service, request: Request) -> Flow[Response]:
    """DELETE /auth/sessions/{id}"""
    claims = owner(service, request)
    session = yield from session_in_path(request)
    if session.subject != claims.subject:
        raise NotFound("There is no such session.")
    yield from existing.end_session(
        service.issuer, session.id, reason="ended_from_list", by="owner", address=request.address
    )
    return no_content()


def end_sessions(service: Service, request: Request) -> Flow[Response]:
    """DELETE /auth/sessions: all, or with others=true all but this one"""
    claims = owner(service, request)
    others = query(request).get("others", "false")
    if others not in ("true", "false"):
        raise InvalidRequest("others is true or false.")
    ended = yield from existing.end_all(
        service.issuer,
        claims.subject,
        except_id=claims.session_id if others == "true" else None,
        reason="ended_from_list",
        by="owner",
        address=request.address,
    )
    return json_response({"ended": ended})


def described(session: Session) -> dict[str, Any]:
    """A session as JSON. Times are in seconds since 1970, UTC."""
    return {
        "id": session.id,
        "device": session.device,
        "client_id": session.client_id,
        "scope": session.scope,
        "created_at": int(session.created_at),
        "last_used_at": int(session.last_used_at),
        "expires_at": int(session.expires_at),
        "ends_at": int(session.ends_at),
        "lifetime": session.lifetime or REMEMBERED,
        "bound": bound_to(session.binding),
    }


def session_in_path(request: Request) -> Flow[Session]:
    """The session named in the path. Raises NotFound."""
    session_id = request.path_parameters["id"]
    session = (yield from call(Get(session_id))) if existing.is_session_id(session_id) else None
    if session is None:
        raise NotFound("There is no such session.")
    return session


def owner(service: Service, request: Request) -> Claims:
    """The user's claims. Raises InsufficientScope for another client's token, which may not see or end sessions."""
    return first_party(caller(service, request))


def first_party(claims: Claims) -> Claims:
    """The claims of the application's own token. Raises InsufficientScope for another client's."""
    if claims.client_id != FIRST_PARTY:
        raise InsufficientScope("Only the application's own tokens may manage sessions.")
    return claims
