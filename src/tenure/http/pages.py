"""Pages without JavaScript: the access token in a cookie of its own, renewed by a redirect.

Browsers send the refresh token's cookie to /auth only. A navigation with an expired access token is therefore
redirected to /auth/continue, which refreshes and redirects back (both 303). Requests that arrive together are
redirected together: within the leeway each is a retry, or another one's response has already renewed it, so nobody is
logged out. Pages therefore need a leeway above zero.

There are no redirect loops. A request that returns from /auth/continue without an access token carries a mark, and gets
an error saying that its cookies don't arrive. One without a refresh token is redirected to the login page.
"""

import logging
from html import escape
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from tenure.core.access import Claims
from tenure.core.effects import Flow
from tenure.core.errors import (
    ApplicationFailed,
    ConfigurationError,
    DeviceProofDelayed,
    ExpiredAccessToken,
    InvalidAccessToken,
    InvalidGrant,
    InvalidRequest,
    ProofRequired,
    StoreUnavailable,
)
from tenure.core.flows import FIRST_PARTY
from tenure.core.issuer import TokenPair
from tenure.http.auth import throttled_refresh
from tenure.http.cookies import Cookies, Header
from tenure.http.dbsc import offer
from tenure.http.messages import HTML_TYPE, Request, Response, access_token, query
from tenure.http.presented import own_refresh_token
from tenure.http.service import Answered, NoAccessToken, Service, caller, lasting, renewed_just_now

_CONTINUE = "/continue"
_LONGEST_TARGET = 4096
_COOKIE_CHARS = 4000  # browsers keep 4096 bytes of name and value (RFC 6265 section 6.1)
_SAFE = ("GET", "HEAD")

_log = logging.getLogger("tenure")


def page_session(service: Service, request: Request) -> Claims:
    """The claims of the access token, from the header or its cookie.

    Raises InvalidAccessToken, and Answered for a navigation, with the redirect to /auth/continue.
    """
    if access_token(request) is not None:
        return caller(service, request)
    cookies = _cookies(service, request)
    problem: InvalidAccessToken = NoAccessToken()
    for token in cookies.access_tokens():
        try:
            claims = service.issuer.checker.check(token)
            if claims.thumbprint is not None:
                raise ProofRequired
        except InvalidAccessToken as refused:
            problem = refused
        else:
            if request.method not in _SAFE:
                cookies.transport.check_origin(request)
            return claims
    if not _is_navigation(request):
        raise problem
    if cookies.was_bounced() and isinstance(problem, NoAccessToken | ExpiredAccessToken):
        raise Answered(_page(400, "Your browser does not keep this site's cookies", _BLOCKED, [cookies.unmark()]))
    raise Answered(bounce(service, request, _target_of(request)))


def bounce(service: Service, request: Request, target: str) -> Response:
    """The redirect to /auth/continue, which refreshes and leads to `target`, a path of this site."""
    return _redirect(_continue_to(service, request, target))


def continue_(service: Service, request: Request) -> Flow[Response]:
    """GET /auth/continue: refresh, then redirect back to `to`, a path of this site"""
    parameters = query(request)
    target = local_path(parameters.get("to", "/"))
    cookies = _cookies(service, request)
    if not _is_navigation(request):
        raise InvalidRequest("This address is for navigations.")
    renewed = renewed_just_now(service, cookies)
    if renewed is not None:
        _, claims = renewed
        return _redirect(target, [cookies.mark(int(claims.expires_at - service.issuer.now()))])
    if not cookies.refresh_tokens() and "again" not in parameters:
        # The user followed a link from another site, so SameSite=Strict withheld the cookie. A redirect from our own
        # page sends it.
        return _redirect_once_more(_continue_to(service, request, target, again="1"))
    own = yield from own_refresh_token(service.issuer, cookies)
    if own is None:
        return _to_login(service, target)
    try:
        pair = yield from throttled_refresh(service, request, own.text, FIRST_PARTY, None)
    except InvalidGrant:
        return _to_login(service, target)
    except (StoreUnavailable, ApplicationFailed, DeviceProofDelayed, ConfigurationError):
        head = _refresh_after(_AWAY_SECONDS, _continue_to(service, request, target))
        return _page(503, "One moment, please", _AWAY, [("retry-after", str(_AWAY_SECONDS))], head)
    return page_answer(service, request, pair, target)


def login_page_answer(service: Service, request: Request, pair: TokenPair, to: str) -> Response:
    """The response of a login by a form: set both cookies, and redirect to `to`, a path of this site (303)."""
    return page_answer(service, request, pair, to, *offer(service, _cookies(service, request), pair))


def page_answer(service: Service, request: Request, pair: TokenPair, to: str, *more: Header) -> Response:
    """Set both cookies and redirect to `to`, a path of this site (303).

    Any other target becomes "/": the session exists by now, and its response must reach the user.
    """
    cookies = _cookies(service, request)
    if len(pair.access_token) > _COOKIE_CHARS:
        _log.error(
            "an access token of %s characters fits into no cookie, and browsers drop it: its claims are too long for "
            "pages without JavaScript",
            len(pair.access_token),
        )
    headers = [
        *cookies.set_refresh(pair.refresh_token, pair.session_id, lasting(pair)),
        # The cookie outlives the token: an expired one shows a request that is not a navigation that a refresh may
        # help.
        cookies.set_access(pair.access_token, lasting(pair)),
        cookies.mark(pair.expires_in),
        *more,
    ]
    try:
        return _redirect(local_path(to), headers)
    except InvalidRequest:
        return _redirect(f"{request.root}/", headers)


def _target_of(request: Request) -> str:
    """Where the navigation returns to: its own URL, or as much of it as /auth/continue accepts."""
    path = quote(request.root + request.path)
    for target in (f"{path}?{request.query}" if request.query else path, path):
        try:
            return local_path(target)
        except InvalidRequest:
            continue
    return f"{request.root}/"


def _continue_to(service: Service, request: Request, target: str, **more: str) -> str:
    return f"{service.base(request)}{_CONTINUE}?{urlencode({'to': target, **more})}"


def local_path(target: str) -> str:
    """Return `target` if it is unambiguously a path of this site. Raises InvalidRequest."""
    is_path = target.startswith("/") and not target.startswith("//")
    if not is_path or "\\" in target or not target.isprintable() or len(target) > _LONGEST_TARGET:
        raise InvalidRequest("to is a path of this site.")
    return target


def _cookies(service: Service, request: Request) -> Cookies:
    cookies = service.cookies_of(request)
    if cookies is None:
        raise InvalidRequest("Cookies are switched off here.")
    return cookies


def _is_navigation(request: Request) -> bool:
    mode = request.headers.get("sec-fetch-mode")
    if mode is None:
        return request.method in _SAFE and "text/html" in request.headers.get("accept", "")
    return request.method in _SAFE and mode == "navigate"


def _to_login(service: Service, target: str) -> Response:
    if service.login_page is None:
        return _page(401, "You are not logged in", "Log in, and come back.")
    kept = dict(parse_qsl(urlsplit(service.login_page).query))
    address = service.login_page.partition("?")[0]
    return _redirect(f"{address}?{urlencode({**kept, 'next': target})}")


def _redirect_once_more(address: str) -> Response:
    return _page(200, "One moment", f'<a href="{escape(address)}">Go on</a>', head=_refresh_after(0, address))


def _refresh_after(seconds: int, address: str) -> str:
    return f'<meta http-equiv="refresh" content="{seconds}; url={escape(address)}">'


_AWAY_SECONDS = 5
_AWAY = "This site can't look up your session just now. You stay logged in; this page tries again by itself."


_BLOCKED = (
    "This site could not see that you are logged in: its cookies did not come back. Allow cookies for it (or, if you "
    "run it, see that an access token fits into a cookie), then load this page again."
)


def _redirect(address: str, headers: list[tuple[str, str]] | None = None) -> Response:
    location = quote(address, safe="/?&=%:;,+~!*'()@$#[]-._")
    return Response(303, [("location", location), ("cache-control", "no-store"), *(headers or [])])


def _page(status: int, title: str, text: str, headers: list[tuple[str, str]] | None = None, head: str = "") -> Response:
    content = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"{head}<title>{title}</title><h1>{title}</h1><p>{text}</p></html>"
    )
    base = [("content-type", HTML_TYPE), ("cache-control", "no-store")]
    return Response(status, [*base, *(headers or [])], content.encode())
