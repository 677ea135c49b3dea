"""For standard clients, form-encoded: the token endpoint, revocation and introspection.

RFC 6749 section 6, RFC 7009, RFC 7662. A refresh token works only for the client that it was issued to.
"""

from collections.abc import Mapping
from typing import Any

from tenure.core import existing
from tenure.core.binding import dpop_binding, thumbprint_of
from tenure.core.calls import Get
from tenure.core.effects import Flow, call
from tenure.core.errors import (
    ForgedToken,
    InvalidAccessToken,
    InvalidClient,
    InvalidGrant,
    StolenTokenRefused,
    UnsupportedGrantType,
    WrongClient,
)
from tenure.core.tokens import PREFIX
from tenure.http.auth import MAX_TOKEN_CHARS, throttled_refresh
from tenure.http.client_authentication import authenticate_api_key, authenticate_client
from tenure.http.clients import API_KEY_PREFIX, Client
from tenure.http.messages import Request, Response, bearer, form, json_response, text
from tenure.http.proofs import binding_of
from tenure.http.service import Service, token_answer

MAX_ACCESS_TOKEN_CHARS = 8192


def token(service: Service, request: Request) -> Flow[Response]:
    """POST /oauth/token"""
    parameters = form(request)
    client = yield from authenticate_client(service, request, parameters)
    if text(parameters, "grant_type", longest=100) != "refresh_token":
        raise UnsupportedGrantType
    refresh_token = text(parameters, "refresh_token", longest=MAX_TOKEN_CHARS)
    scope = parameters.get("scope") or None
    pair = yield from throttled_refresh(service, request, refresh_token, client.id, scope)
    return json_response(token_answer(pair))


def revoke(service: Service, request: Request) -> Flow[Response]:
    """POST /oauth/revoke: either token ends the session (RFC 7009 section 2.1). An invalid one is no error."""
    parameters = form(request)
    client = yield from authenticate_client(service, request, parameters)
    presented = text(parameters, "token", longest=MAX_ACCESS_TOKEN_CHARS)
    binding = binding_of(service, request)
    ended = {"reason": "revoked_by_client", "by": client.id, "address": request.address}
    try:
        if presented.startswith(PREFIX):
            yield from existing.end_by_token(service.issuer, presented, client_id=client.id, binding=binding, **ended)
        else:
            claims = service.issuer.checker.check(presented)
            if claims.client_id != client.id:
                raise WrongClient("This access token was issued to another client.")
            if claims.thumbprint is not None and binding != dpop_binding(claims.thumbprint):
                raise StolenTokenRefused
            yield from existing.end_session(service.issuer, claims.session_id, **ended)
    except (ForgedToken, InvalidAccessToken):
        pass
    return json_response({})


def introspect(service: Service, request: Request) -> Flow[Response]:
    """POST /oauth/introspect: for confidential clients and API keys only, so that nobody else can probe for tokens."""
    parameters = form(request)
    client = yield from _introspector(service, request, parameters)
    presented = text(parameters, "token", longest=MAX_ACCESS_TOKEN_CHARS)
    inspect = _inspect_refresh_token if presented.startswith(PREFIX) else _inspect_access_token
    return json_response((yield from inspect(service, presented, client)))


def _introspector(service: Service, request: Request, parameters: Mapping[str, str]) -> Flow[Client | None]:
    """The client that asks, or None for an API key, which may inspect every token."""
    if (bearer(request) or "").startswith(API_KEY_PREFIX):
        yield from authenticate_api_key(service, request)
        return None
    client = yield from authenticate_client(service, request, parameters)
    if client.public:
        raise InvalidClient("Only confidential clients and API keys may introspect.")
    return client


def _inspect_access_token(service: Service, presented: str, _: Client | None) -> Flow[dict[str, Any]]:
    """Any confidential client may ask, as resource servers must. The store decides whether the session is live."""
    try:
        claims = service.issuer.checker.check(presented)
    except InvalidAccessToken:
        return {"active": False}
    session = yield from call(Get(claims.session_id))
    if session is None or not session.is_live(service.issuer.now()):
        return {"active": False}
    return {"active": True, "token_type": "Bearer" if claims.thumbprint is None else "DPoP", **claims.raw}


def _inspect_refresh_token(service: Service, presented: str, client: Client | None) -> Flow[dict[str, Any]]:
    try:
        session = yield from existing.look_up(
            service.issuer, presented, client_id=None if client is None else client.id
        )
    except InvalidGrant:
        return {"active": False}
    thumbprint = thumbprint_of(session.binding)
    return {
        "active": True,
        "token_type": "refresh_token",
        "iss": service.issuer.url,
        "sub": session.subject,
        "client_id": session.client_id,
        "sid": session.id,
        "iat": int(session.last_used_at),
        "exp": int(session.expires_at),
        **({"scope": session.scope} if session.scope else {}),
        **({} if thumbprint is None else {"cnf": {"jkt": thumbprint}}),
    }
