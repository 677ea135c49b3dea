"""Pages that carry no JavaScript: the access token in a cookie of its own, renewed by a bounce.

The refresh token's cookie goes to /auth and nowhere else. So a navigation that comes with an access token that has
expired is sent to /auth/continue (303), which refreshes and sends it back (303). Requests that arrive together bounce
together: within the leeway each of them is a retry, or has been renewed by another one's answer already, so that nobody
is logged out; a leeway of zero is not for pages.

Nothing bounces for ever. What comes back from a bounce and still has no access token carries a mark, and is told that
its cookies don't arrive. What has no refresh token goes to the login page.
"""

from html import escape
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from tenure import flows
from tenure.access import Claims
from tenure.effects import Flow
from tenure.errors import ExpiredAccessToken, InvalidAccessToken, InvalidGrant, InvalidRequest
from tenure.flows import FIRST_PARTY
from tenure.http.cookies import CookieTransport
from tenure.http.messages import Request, Response, bearer, query
from tenure.http.service import Answered, NoAccessToken, Service, renewed_just_now
from tenure.issuer import TokenPair

CONTINUE = "/auth/continue"
_LONGEST_TARGET = 4096
_SAFE = ("GET", "HEAD")


def page_session(service: Service, request: Request) -> Claims:
    """What the access token says, of the header or of its cookie.

    Raises InvalidAccessToken; and Answered where it is a navigation, which is to be sent to /auth/continue.
    """
    token = bearer(request)
    if token is not None:
        return service.issuer.verified(token)
    cookies = _cookies(service)
    token = cookies.read_access(request)
    problem: InvalidAccessToken = NoAccessToken()
    if token is not None:
        try:
            claims = service.issuer.checker.check(token)
        except InvalidAccessToken as refused:
            problem = refused
        else:
            if request.method not in _SAFE:
                cookies.check_origin(request)
            return claims
    if not _is_navigation(request):
        raise problem
    if cookies.was_bounced(request) and isinstance(problem, NoAccessToken | ExpiredAccessToken):
        raise Answered(_page(400, "Your browser does not keep this site's cookies", _BLOCKED, [cookies.unmark()]))
    raise Answered(_redirect(f"{CONTINUE}?{urlencode({'to': _target_of(request)})}"))


def continue_(service: Service, request: Request) -> Flow[Response]:
    """GET /auth/continue: refresh, and go back to where the navigation was going (`to`, a path of this site)"""
    parameters = query(request)
    target = own_path(parameters.get("to", "/"))
    cookies = _cookies(service)
    if not _is_navigation(request):
        raise InvalidRequest("This address is for navigations.")
    claims = renewed_just_now(service, request)
    if claims is not None:
        return _redirect(target, [cookies.mark(int(claims.expires_at - service.issuer.now()))])
    token = cookies.refresh_token(request)
    if token is None:
        if "again" not in parameters:
            # A link on another site led here, and SameSite=Strict has held the cookie back. From here it is our own.
            return _again(target)
        return _to_login(service, target)
    try:
        pair = yield from flows.refresh(service.issuer, token, client_id=FIRST_PARTY, address=request.address)
    except InvalidGrant:
        return _to_login(service, target)
    return page_answer(service, pair, target)


def page_answer(service: Service, pair: TokenPair, to: str) -> Response:
    """Both tokens into their cookies, and on to `to`, a path of this site (303): also the end of a login by a form."""
    cookies = _cookies(service)
    headers = [
        cookies.set(pair.refresh_token, pair.refresh_expires_in),
        # Kept beyond its own life: one that has expired tells a request that is no navigation that it may be refreshed.
        cookies.set_access(pair.access_token, pair.refresh_expires_in),
        cookies.mark(pair.expires_in),
    ]
    return _redirect(own_path(to), headers)


def _target_of(request: Request) -> str:
    """Where a bounced navigation goes back to: its own address, or as much of it as /auth/continue takes."""
    path = quote(request.path)
    for target in (f"{path}?{request.query}" if request.query else path, path):
        try:
            return own_path(target)
        except InvalidRequest:
            continue
    return "/"


def own_path(target: str) -> str:
    """`target`, if it is a path of this site and can't be read as another one; raises InvalidRequest."""
    is_path = target.startswith("/") and not target.startswith("//")
    if not is_path or "\\" in target or not target.isprintable() or len(target) > _LONGEST_TARGET:
        raise InvalidRequest("to is a path of this site.")
    return target


def _cookies(service: Service) -> CookieTransport:
    if service.cookies is None:
        raise InvalidRequest("Cookies are switched off here.")
    return service.cookies


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


def _again(target: str) -> Response:
    address = escape(f"{CONTINUE}?{urlencode({'to': target, 'again': '1'})}")
    head = f'<meta http-equiv="refresh" content="0; url={address}">'
    return _page(200, "One moment", f'<a href="{address}">Go on</a>', head=head)


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
    base = [("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store")]
    policy = ("content-security-policy", "default-src 'none'; frame-ancestors 'none'")
    return Response(status, [*base, policy, *(headers or [])], content.encode())
