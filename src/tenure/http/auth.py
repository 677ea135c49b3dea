"""For people's apps, in JSON: log in, refresh, log out, see and end one's sessions.

Two transports. *body*: both tokens in the answer, for native apps. *cookie*: the refresh token only ever in a cookie,
for pages. A refresh answers by the transport that it came by.
"""

from dataclasses import replace
from typing import Any

from tenure import flows
from tenure.access import Claims
from tenure.effects import Flow, ask, call
from tenure.errors import InsufficientScope, InvalidGrant, InvalidRequest, RevokedAccessToken
from tenure.flows import FIRST_PARTY
from tenure.http.messages import (
    NotFound,
    Request,
    Response,
    TooManyRequests,
    bearer,
    json_object,
    json_response,
    no_content,
    optional_text,
    query,
    text,
)
from tenure.http.service import Service, caller, pair_response, renewed_just_now, token_answer
from tenure.issuer import TokenPair
from tenure.stores.protocol import Get, ListSubject, Session

MAX_TOKEN_CHARS = 4096


def login(service: Service, request: Request) -> Flow[Response]:
    """POST /auth/login"""
    body = json_object(request)
    username = text(body, "username", longest=255)
    password = text(body, "password", longest=1024)
    device = optional_text(body, "device", longest=1024) or request.headers.get("user-agent", "")
    by_cookie = _wants_cookie(service, request, body)
    wait = service.throttle.sign_in(username, request.address)
    if wait is not None:
        raise TooManyRequests(wait)
    subject = yield from ask("authenticator", service.authenticator.authenticate, username, password)
    if subject is None:
        raise InvalidGrant("The user name or the password is wrong.")
    service.throttle.signed_in(username)
    pair = yield from flows.login(
        service.issuer,
        subject,
        claims={},
        device=device,
        client_id=FIRST_PARTY,
        scope="",
        address=request.address,
    )
    return pair_response(service, pair, cookie=by_cookie)


def refresh(service: Service, request: Request) -> Flow[Response]:
    """POST /auth/refresh"""
    token, by_cookie = _presented(service, request)
    if token is None:
        raise InvalidRequest("A refresh token is needed, in the body or in the cookie.")
    if by_cookie:
        renewed = yield from _renewed_by_another(service, request, token)
        if renewed is not None:
            return renewed
    pair = yield from throttled_refresh(service, request, token, FIRST_PARTY, None)
    answer = pair_response(service, pair, cookie=by_cookie)
    if by_cookie and service.cookies is not None and service.cookies.read_access(request) is not None:
        # There are pages that live by this cookie. They need not refresh by themselves then.
        access = service.cookies.set_access(pair.access_token, pair.refresh_expires_in)
        return replace(answer, headers=[*answer.headers, access])
    return answer


def _renewed_by_another(service: Service, request: Request, token: str) -> Flow[Response | None]:
    """The access token that a page has just got, for its module: unless the refresh token would be refused."""
    claims = renewed_just_now(service, request)
    access_token = service.cookies.read_access(request) if service.cookies else None
    if claims is None or access_token is None:
        return None
    try:
        session = yield from flows.look_up(service.issuer, token, client_id=FIRST_PARTY)
    except InvalidGrant:
        return None  # a refresh says why
    if session.id != claims.session_id:
        return None
    now = service.issuer.now()
    lasts, session_lasts = int(claims.expires_at - now), int(session.expires_at - now)
    pair = TokenPair(access_token, lasts, token, session_lasts, session.id, session.subject, claims.scope)
    content = token_answer(pair)
    del content["refresh_token"]  # stays in its cookie
    return json_response(content)


def throttled_refresh(
    service: Service, request: Request, token: str, client_id: str, scope: str | None
) -> Flow[TokenPair]:
    """Refresh, unless too many from this address were refused lately (TooManyRequests)."""
    wait = service.throttle.refresh(request.address)
    if wait is not None:
        raise TooManyRequests(wait)
    attempt = request.headers.get("idempotency-key")
    try:
        return (
            yield from flows.refresh(
                service.issuer, token, attempt=attempt, client_id=client_id, scope=scope, address=request.address
            )
        )
    except InvalidGrant:
        service.throttle.refresh_refused(request.address)
        raise


def logout(service: Service, request: Request) -> Flow[Response]:
    """POST /auth/logout: what was over already is no error."""
    token, _ = _presented(service, request)
    ended = {"reason": "logged_out", "by": "owner", "address": request.address}
    if token is not None:
        yield from flows.end_by_token(service.issuer, token, client_id=FIRST_PARTY, **ended)
    elif bearer(request) is not None:
        try:
            claims = caller(service, request)
        except RevokedAccessToken:
            pass
        else:
            yield from flows.end_session(service.issuer, claims.session_id, **ended)
    gone = [service.cookies.clear(), service.cookies.set_access("", 0)] if service.cookies else []
    return no_content(gone)


def me(service: Service, request: Request) -> Response:
    """GET /auth/me"""
    return json_response(dict(caller(service, request).raw))


def list_sessions(service: Service, request: Request) -> Flow[Response]:
    """GET /auth/sessions"""
    claims = _owner(service, request)
    sessions = yield from call(ListSubject(claims.subject, service.issuer.now()))
    return json_response({"sessions": [{**described(one), "current": one.id == claims.session_id} for one in sessions]})


def end_session(service: Service, request: Request) -> Flow[Response]:
    """DELETE /auth/sessions/{id}"""
    claims = _owner(service, request)
    session = yield from existing(request)
    if session.subject != claims.subject:
        raise NotFound("There is no such session.")
    yield from flows.end_session(
        service.issuer, session.id, reason="ended_from_list", by="owner", address=request.address
    )
    return no_content()


def end_sessions(service: Service, request: Request) -> Flow[Response]:
    """DELETE /auth/sessions, all or (others=true) all but this one"""
    claims = _owner(service, request)
    others = query(request).get("others", "false")
    if others not in ("true", "false"):
        raise InvalidRequest("others is true or false.")
    ended = yield from flows.end_all(
        service.issuer,
        claims.subject,
        except_id=claims.session_id if others == "true" else None,
        reason="ended_from_list",
        by="owner",
        address=request.address,
    )
    return json_response({"ended": ended})


def described(session: Session) -> dict[str, Any]:
    """A session for a list. Times are in seconds since 1970, UTC."""
    return {
        "id": session.id,
        "device": session.device,
        "client_id": session.client_id,
        "scope": session.scope,
        "created_at": int(session.created_at),
        "last_used_at": int(session.last_used_at),
        "expires_at": int(session.expires_at),
    }


def existing(request: Request) -> Flow[Session]:
    """The session that the path names; raises NotFound."""
    session_id = request.path_parameters["id"]
    session = (yield from call(Get(session_id))) if flows.is_session_id(session_id) else None
    if session is None:
        raise NotFound("There is no such session.")
    return session


def _owner(service: Service, request: Request) -> Claims:
    """The person, through their own app: a token that another client holds may not see or end their sessions."""
    claims = caller(service, request)
    if claims.client_id != FIRST_PARTY:
        raise InsufficientScope("Only the application's own tokens may manage sessions.")
    return claims


def _wants_cookie(service: Service, request: Request, body: dict[str, Any]) -> bool:
    transport = optional_text(body, "transport", longest=10) or "body"
    if transport not in ("body", "cookie"):
        raise InvalidRequest('transport is "body" or "cookie".')
    if transport == "cookie" and service.cookies is None:
        raise InvalidRequest("Cookies are switched off here.")
    if service.cookies is not None and transport == "cookie":
        service.cookies.check_origin(request)
    return transport == "cookie"


def _presented(service: Service, request: Request) -> tuple[str | None, bool]:
    """The refresh token of the request, and whether it came in the cookie. The body's goes first."""
    body = json_object(request, optional=True)
    if "refresh_token" in body:
        return text(body, "refresh_token", longest=MAX_TOKEN_CHARS), False
    token = service.cookies.read(request) if service.cookies else None
    return token, token is not None
