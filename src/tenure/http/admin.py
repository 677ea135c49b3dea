"""For backends in any language, with an API key: create sessions after their own login, list and end sessions."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tenure.core import existing, flows, overview
from tenure.core.access import application_claims
from tenure.core.binding import dpop_binding
from tenure.core.calls import ListAudit
from tenure.core.effects import Flow, call
from tenure.core.errors import ConfigurationError, InvalidRequest, InvalidScope
from tenure.core.flows import FIRST_PARTY
from tenure.core.session import Which
from tenure.http.client_authentication import authenticate_api_key
from tenure.http.clients import find_client
from tenure.http.messages import Request, Response, json_object, json_response, no_content, optional_text, query, text
from tenure.http.service import Service, token_answer
from tenure.http.sessions import described, session_in_path


def create_session(service: Service, request: Request) -> Flow[Response]:
    """POST /admin/sessions"""
    yield from authenticate_api_key(service, request)
    body = json_object(request)
    subject = text(body, "subject", longest=255)
    client_id = optional_text(body, "client_id", longest=100) or FIRST_PARTY
    scope = optional_text(body, "scope", longest=1000) or ""
    client = yield from find_client(client_id)
    if client is None:
        raise InvalidRequest("client_id names no registered client (tenure clients add CLIENT_ID).")
    if not client.may_have(scope):
        raise InvalidScope(f"The client {client_id} may be granted: {client.scope or 'no scope'}.")
    pair = yield from flows.login(
        service.issuer,
        subject,
        claims=_claims(body),
        device=optional_text(body, "device", longest=1024) or "",
        client_id=client_id,
        scope=scope,
        address=optional_text(body, "address", longest=200) or "",
        binding=_binding(body),
        lifetime=optional_text(body, "lifetime", longest=50) or client.lifetime,
        acr=optional_text(body, "acr", longest=100),
        amr=_methods(body),
    )
    return json_response(token_answer(pair))


def _binding(body: dict[str, Any]) -> str | None:
    """The key that the session's client has, by its thumbprint (RFC 9449 section 10). The backend vouches for it."""
    thumbprint = optional_text(body, "dpop_jkt", longest=100)
    if thumbprint is None:
        return None
    if not re.fullmatch("[A-Za-z0-9_-]{43}", thumbprint):
        raise InvalidRequest("dpop_jkt is the thumbprint of a key: 43 characters of base64url (RFC 7638).")
    return dpop_binding(thumbprint)


def _methods(body: dict[str, Any]) -> list[str]:
    methods = body.get("amr")
    if methods is not None and not isinstance(methods, list):
        raise InvalidRequest('amr is a list of names, like ["pwd", "otp"] (RFC 8176).')
    return methods or []


def list_sessions(service: Service, request: Request) -> Flow[Response]:
    """GET /admin/sessions: of a `subject`, oldest first; or of all, latest first, in pages

    `client_id`, `device` and `before` (a moment) select among all. The response's `cursor` is for the next request.
    """
    yield from authenticate_api_key(service, request)
    parameters = query(request)
    if "subject" not in parameters:
        which, limit, cursor = _which(parameters), _limit(parameters), parameters.get("cursor", "")
        page = yield from overview.latest(service.issuer, which, cursor=cursor, limit=limit)
        sessions = [{**described(session), "subject": session.subject} for session in page.sessions]
        return _page(sessions, page.cursor)
    live = yield from existing.list_live(service.issuer, text(parameters, "subject", longest=255))
    page = overview.page_of_subject(live, parameters.get("cursor", ""), _limit(parameters))
    return _page([described(session) for session in page.sessions], page.cursor)


def show_overview(service: Service, request: Request) -> Flow[Response]:
    """GET /admin/overview: how many sessions there are, and what has happened since a moment (by default a day ago)"""
    yield from authenticate_api_key(service, request)
    since = _moment(query(request), "since")
    found = yield from overview.overview(service.issuer, since=since, steps=overview.STEPS_AT_A_GLANCE)
    return json_response({**asdict(found), "thefts": found.thefts})


def count_sessions(service: Service, request: Request) -> Flow[Response]:
    """GET /admin/sessions/count: how many live sessions a DELETE with the same parameters would end"""
    yield from authenticate_api_key(service, request)
    return json_response({"live": (yield from overview.count_where(service.issuer, _which(query(request))))})


def list_audit(service: Service, request: Request) -> Flow[Response]:
    """GET /admin/audit?subject="""
    yield from authenticate_api_key(service, request)
    subject = text(query(request), "subject", longest=255)
    entries = yield from call(ListAudit(subject, service.issuer.now()))
    return json_response({"entries": [asdict(entry) for entry in entries]})


def end_session(service: Service, request: Request) -> Flow[Response]:
    """DELETE /admin/sessions/{id}"""
    name = yield from authenticate_api_key(service, request)
    session = yield from session_in_path(request)
    yield from existing.end_session(
        service.issuer, session.id, reason="ended_by_admin", by=f"api-key:{name}", address=request.address
    )
    return no_content()


def end_sessions(service: Service, request: Request) -> Flow[Response]:
    """DELETE /admin/sessions: of a `subject`; or of a `client_id`, a `device`, `before` a moment; or `all=true`

    Takes effect at once. Many sessions are then ended step by step; `complete` says whether that is done.
    """
    name = yield from authenticate_api_key(service, request)
    parameters = query(request)
    if "subject" not in parameters:
        which = _which(parameters)
        if which == Which() and parameters.get("all") != "true":
            raise InvalidRequest("Name a subject, or a client_id, a device, a moment before; or say all=true.")
        made = yield from overview.cut_off(service.issuer, which, f"api-key:{name}")
        ended, complete = yield from overview.sweep(service.issuer, made, steps=_SWEEP_STEPS)
        return json_response({"ended": ended, "complete": complete})
    subject = text(parameters, "subject", longest=255)
    ended = yield from existing.end_all(
        service.issuer,
        subject,
        except_id=None,
        reason="ended_by_admin",
        by=f"api-key:{name}",
        address=request.address,
    )
    return json_response({"ended": ended})


_LAST_MOMENT = 4_000_000_000
_SWEEP_STEPS = 20
"""What one request does by itself. Upkeep goes on with the rest."""


def _page(sessions: list[dict[str, Any]], cursor: str) -> Response:
    return json_response({"sessions": sessions, **({"cursor": cursor} if cursor else {})})


def _which(parameters: Mapping[str, str]) -> Which:
    return overview.which_sessions(
        _moment(parameters, "before"),
        optional_text(parameters, "client_id", longest=100) or "",
        optional_text(parameters, "device", longest=200) or "",
    )


def _moment(parameters: Mapping[str, str], name: str) -> float | None:
    if name not in parameters:
        return None
    try:
        moment = float(parameters[name])
    except ValueError:
        moment = -1.0
    if not 0 <= moment <= _LAST_MOMENT:
        raise InvalidRequest(f"{name} is a number of seconds since 1970, UTC.")
    return moment


def _limit(parameters: Mapping[str, str]) -> int:
    value = parameters.get("limit", "100")
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:5]) <= overview.LONGEST_PAGE):
        raise InvalidRequest(f"limit is a whole number from 1 to {overview.LONGEST_PAGE}.")
    return int(value)


def _claims(body: dict[str, Any]) -> dict[str, Any]:
    claims = body.get("claims")
    if claims is None:
        return {}
    if not isinstance(claims, dict):
        raise InvalidRequest("claims is a JSON object.")
    try:
        return application_claims(claims)
    except ConfigurationError as problem:
        raise InvalidRequest(str(problem)) from None
