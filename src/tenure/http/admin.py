"""For backends in any language that did their own login, with an API key: make, list and end sessions."""

from dataclasses import asdict
from typing import Any

from tenure import flows
from tenure.access import application_claims
from tenure.effects import Flow, call
from tenure.errors import ConfigurationError, InvalidRequest
from tenure.flows import FIRST_PARTY
from tenure.http.auth import described, existing
from tenure.http.clients import authenticate_api_key, find_client
from tenure.http.messages import Request, Response, json_object, json_response, no_content, optional_text, query, text
from tenure.http.service import Service, token_answer
from tenure.stores.protocol import ListAudit, ListSubject


def create_session(service: Service, request: Request) -> Flow[Response]:
    """POST /admin/sessions"""
    yield from authenticate_api_key(service.clients, request)
    body = json_object(request)
    subject = text(body, "subject", longest=255)
    client_id = optional_text(body, "client_id", longest=100) or FIRST_PARTY
    if (yield from find_client(client_id)) is None:
        raise InvalidRequest("client_id names no registered client (tenure clients add CLIENT_ID).")
    pair = yield from flows.login(
        service.issuer,
        subject,
        claims=_claims(body),
        device=optional_text(body, "device", longest=1024) or "",
        client_id=client_id,
        scope=optional_text(body, "scope", longest=1000) or "",
        address=optional_text(body, "address", longest=200) or "",
    )
    return json_response(token_answer(pair))


def list_sessions(service: Service, request: Request) -> Flow[Response]:
    """GET /admin/sessions?subject="""
    yield from authenticate_api_key(service.clients, request)
    subject = text(query(request), "subject", longest=255)
    sessions = yield from call(ListSubject(subject, service.issuer.now()))
    return json_response({"sessions": [described(session) for session in sessions]})


def list_audit(service: Service, request: Request) -> Flow[Response]:
    """GET /admin/audit?subject="""
    yield from authenticate_api_key(service.clients, request)
    subject = text(query(request), "subject", longest=255)
    entries = yield from call(ListAudit(subject, service.issuer.now()))
    return json_response({"entries": [asdict(entry) for entry in entries]})


def end_session(service: Service, request: Request) -> Flow[Response]:
    """DELETE /admin/sessions/{id}"""
    name = yield from authenticate_api_key(service.clients, request)
    session = yield from existing(request)
    yield from flows.end_session(
        service.issuer, session.id, reason="ended_by_admin", by=f"api-key:{name}", address=request.address
    )
    return no_content()


def end_sessions(service: Service, request: Request) -> Flow[Response]:
    """DELETE /admin/sessions?subject="""
    name = yield from authenticate_api_key(service.clients, request)
    subject = text(query(request), "subject", longest=255)
    ended = yield from flows.end_all(
        service.issuer,
        subject,
        except_id=None,
        reason="ended_by_admin",
        by=f"api-key:{name}",
        address=request.address,
    )
    return json_response({"ended": ended})


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
