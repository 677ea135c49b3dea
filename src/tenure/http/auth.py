"""For the users' apps, in JSON: log in, refresh, log out, give the password once more.

There are two transports. *body*: both tokens in the response body, for native apps. *cookie*: the refresh token only in
a cookie, for pages. A refresh responds by the transport of its request.
"""

from functools import partial
from typing import Any

from tenure.core import existing, flows
from tenure.core.calls import Get
from tenure.core.effects import Flow, ask, call
from tenure.core.errors import (
    InvalidGrant,
    InvalidProof,
    InvalidRequest,
    LoginRefused,
    RevokedAccessToken,
)
from tenure.core.flows import FIRST_PARTY
from tenure.core.issuer import TokenPair
from tenure.core.policy import BROWSER, REMEMBERED
from tenure.http.cookies import Cookies, Header
from tenure.http.dbsc import offer
from tenure.http.marks import MARK_ID_BYTES, device_mark, device_of
from tenure.http.messages import (
    Request,
    Response,
    TooManyRequests,
    access_token,
    json_object,
    json_response,
    no_content,
    optional_text,
    text,
)
from tenure.http.presented import end_replaced, genuine_token, is_junk, own_refresh_token
from tenure.http.proofs import binding_of
from tenure.http.service import Service, caller, lasting, pair_response, renewed_just_now, token_answer
from tenure.http.sessions import owner

MAX_TOKEN_CHARS = 4096


def login(service: Service, request: Request) -> Flow[Response]:
    """POST /auth/login"""
    body = json_object(request)
    binding = binding_of(service, request)
    if binding is None and service.issuer.policy.binding == "required":
        raise InvalidProof
    username = text(body, "username", longest=255)
    password = text(body, "password", longest=1024)
    device = optional_text(body, "device", longest=1024) or request.headers.get("user-agent", "")
    cookies = _wanted_cookies(service, request, body)
    lifetime = _lifetime(body)
    subject = yield from _authenticated(service, request, username, password)
    begin = partial(
        flows.login,
        service.issuer,
        subject,
        claims={},
        device=device,
        client_id=FIRST_PARTY,
        scope="",
        address=request.address,
        binding=binding,
        lifetime=lifetime,
        amr=["pwd"],
    )
    if cookies is None:
        return pair_response((yield from begin()), None)
    try:
        pair = yield from begin()
    except LoginRefused:
        # At the limit of sessions, end this browser's own session, which the login replaces anyway.
        if not (yield from _make_room(service, cookies, subject)):
            raise
        pair = yield from begin()
    yield from end_replaced(service.issuer, cookies, pair.session_id)
    mark = device_mark(username, service.issuer.mark_keys[0], service.issuer.random(MARK_ID_BYTES))
    return login_response(service, pair, cookies, cookies.set_device(mark))


def _lifetime(body: dict[str, Any]) -> str:
    """Whether the user wants to be remembered when the browser is closed; the usual lifetime if nothing is said."""
    remember = body.get("remember")
    if remember is not None and not isinstance(remember, bool):
        raise InvalidRequest("remember is true or false.")
    return "" if remember is None else REMEMBERED if remember else BROWSER


def login_response(service: Service, pair: TokenPair, cookies: Cookies | None, *more: Header) -> Response:
    """The response of a login: with a cookie, it offers the browser to bind the session to its device."""
    return pair_response(pair, cookies, *more, *offer(service, cookies, pair))


def step_up(service: Service, request: Request) -> Flow[Response]:
    """POST /auth/step-up: the caller gives the password once more; the next access token says so (RFC 9470)"""
    claims = owner(service, request)
    body = json_object(request)
    username = text(body, "username", longest=255)
    subject = yield from _authenticated(service, request, username, text(body, "password", longest=1024))
    if subject != claims.subject:
        raise InvalidGrant("These are another user's name and password.")
    session = yield from existing.step_up(
        service.issuer, claims.session_id, acr=None, amr=["pwd"], address=request.address
    )
    return json_response({"session_id": session.id, "auth_time": int(session.authenticated_at)})


def _authenticated(service: Service, request: Request, username: str, password: str) -> Flow[str]:
    """The subject of a name and a password. Raises TooManyRequests, and InvalidGrant for wrong ones."""
    device_id = _acquainted(service, request, username)
    wait = yield from ask("throttle", service.throttle.sign_in, username, request.address, device_id)
    if wait is not None:
        raise TooManyRequests(wait)
    subject: str | None = yield from ask("authenticator", service.authenticator.authenticate, username, password)
    if subject is None:
        raise InvalidGrant("The user name or the password is wrong.")
    yield from ask("throttle", service.throttle.signed_in, username, request.address, device_id)
    return subject


def _make_room(service: Service, cookies: Cookies, subject: str) -> Flow[bool]:
    """End this browser's session, if `subject` owns it. Returns whether it did."""
    own = yield from own_refresh_token(service.issuer, cookies)
    session = None if own is None else (yield from call(Get(own.session_id)))
    if session is None or session.subject != subject:
        return False
    address = cookies.request.address
    return (yield from existing.end_session(service.issuer, session.id, reason="replaced", by="owner", address=address))


def _acquainted(service: Service, request: Request, username: str) -> str | None:
    """This browser's id, if it has logged in to this account before."""
    cookies = service.cookies_of(request)
    marks = [] if cookies is None else cookies.device_marks()
    known = (device_of(mark, username, service.issuer.mark_keys) for mark in marks)
    return next((device for device in known if device is not None), None)


def refresh(service: Service, request: Request) -> Flow[Response]:
    """POST /auth/refresh"""
    token, cookies = yield from _presented(service, request)
    if token is None:
        raise InvalidRequest("A refresh token is needed, in the body or in the cookie.")
    if cookies is not None:
        renewed = yield from _renewed_by_another(service, cookies, token)
        if renewed is not None:
            return renewed
    pair = yield from throttled_refresh(service, request, token, FIRST_PARTY, None)
    if cookies is not None and cookies.access_tokens():
        # Pages without JavaScript use this cookie; renew it, so that they need not refresh themselves.
        return pair_response(pair, cookies, cookies.set_access(pair.access_token, lasting(pair)))
    return pair_response(pair, cookies)


def _renewed_by_another(service: Service, cookies: Cookies, token: str) -> Flow[Response | None]:
    """The access token that this browser has just obtained for its pages, unless the refresh token would be refused."""
    renewed = renewed_just_now(service, cookies)
    if renewed is None:
        return None
    token_of_page, claims = renewed
    try:
        session = yield from existing.look_up(service.issuer, token, client_id=FIRST_PARTY)
    except InvalidGrant:
        return None  # let the refresh say why
    if session.id != claims.session_id:
        return None
    now = service.issuer.now()
    lasts, session_lasts = int(claims.expires_at - now), int(session.expires_at - now)
    kind = "Bearer" if claims.thumbprint is None else "DPoP"
    pair = TokenPair(
        token_of_page, lasts, token, session_lasts, session.id, session.subject, claims.scope, kind,
        int(session.ends_at - now),
    )  # fmt: skip
    content = token_answer(pair)
    del content["refresh_token"]  # it stays in its cookie
    return json_response(content)


def throttled_refresh(
    service: Service, request: Request, token: str, client_id: str, scope: str | None
) -> Flow[TokenPair]:
    """Refresh. Raises TooManyRequests if too many genuine tokens of this session were refused lately.

    Forged tokens cost only arithmetic and are not counted, so nobody is limited by what others forge.
    """
    genuine = yield from existing.genuine(service.issuer, token)
    binding = binding_of(service, request, genuine.session_id.hex())
    # Whoever shows another key, or none, is counted apart: a thief must not keep the owner of a bound session waiting.
    counted = genuine.session_id.hex() if binding is None else f"{genuine.session_id.hex()} {binding}"
    wait = yield from ask("throttle", service.throttle.refresh, counted, slow=False)
    if wait is not None:
        raise TooManyRequests(wait)
    attempt = request.headers.get("idempotency-key")
    try:
        return (
            yield from flows.exchange(
                service.issuer,
                genuine,
                attempt=attempt,
                client_id=client_id,
                scope=scope,
                address=request.address,
                binding=binding,
            )
        )
    except InvalidGrant:
        yield from ask("throttle", service.throttle.refresh_refused, counted, slow=False)
        raise


def logout(service: Service, request: Request) -> Flow[Response]:
    """POST /auth/logout: a session that has already ended is no error."""
    token, _ = yield from _presented(service, request)
    ended = {"reason": "logged_out", "by": "owner", "address": request.address}
    if token is not None:
        presented = genuine_token(service.issuer, token)
        binding = binding_of(service, request, None if presented is None else presented.session_id)
        yield from existing.end_by_token(service.issuer, token, client_id=FIRST_PARTY, binding=binding, **ended)
    elif access_token(request) is not None:
        try:
            claims = caller(service, request)
        except RevokedAccessToken:
            pass
        else:
            yield from existing.end_session(service.issuer, claims.session_id, **ended)
    cookies = service.cookies_of(request)
    return no_content([] if cookies is None else cookies.clear())


def me(service: Service, request: Request) -> Response:
    """GET /auth/me"""
    return json_response(dict(caller(service, request).raw))


def _wanted_cookies(service: Service, request: Request, body: dict[str, Any]) -> Cookies | None:
    transport = optional_text(body, "transport", longest=10) or "body"
    if transport not in ("body", "cookie"):
        raise InvalidRequest('transport is "body" or "cookie".')
    if transport == "cookie" and service.cookies is None:
        raise InvalidRequest("Cookies are switched off here.")
    if service.cookies is None or transport == "body":
        return None
    service.cookies.check_origin(request)
    return service.cookies_of(request)


def _presented(service: Service, request: Request) -> Flow[tuple[str | None, Cookies | None]]:
    """The refresh token of the request, and the cookies if it came in one. One in the body takes precedence.

    Raises ForeignOrigin, and ForgedToken if there was only junk.
    """
    body = json_object(request, optional=True)
    if "refresh_token" in body:
        return text(body, "refresh_token", longest=MAX_TOKEN_CHARS), None
    cookies = service.cookies_of(request)
    if cookies is None or not cookies.refresh_tokens():
        return None, None
    cookies.transport.check_origin(request)
    own = yield from own_refresh_token(service.issuer, cookies)
    if own is None and is_junk(service.issuer, cookies):
        return cookies.refresh_tokens()[0], cookies
    return (None if own is None else own.text), cookies
