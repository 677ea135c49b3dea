"""What every endpoint knows, and how what went wrong leaves: as JSON with its OAuth code and its status.

A `Service` is a value of parts; nothing in it is found out per request.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tenure.core.access import Claims
from tenure.core.effects import Flow
from tenure.core.errors import (
    ApplicationFailed,
    ConfigurationError,
    InsufficientScope,
    InvalidAccessToken,
    InvalidClient,
    StoreUnavailable,
    TenureError,
)
from tenure.core.issuer import Issuer, TokenPair
from tenure.core.origins import check_path
from tenure.http.clients import KnownClients
from tenure.http.cookies import Cookies, CookieTransport, ForeignOrigin, Header
from tenure.http.messages import MethodNotAllowed, Request, RequestError, Response, bearer, json_response

PREFIX = "/auth"

_log = logging.getLogger("tenure")


PasswordCheck = Callable[[str, str], str | Awaitable[str | None] | None]
"""A function that answers the subject of a name and a password, or None; plain or `async`."""


class Authenticator(Protocol):
    """Knows people by name and password. Anything with this method serves; it may also be `async`."""

    def authenticate(self, username: str, password: str) -> str | Awaitable[str | None] | None:
        """The subject of these credentials, or None. Called in a thread of its own, so that it may take its time."""
        ...


class Throttle(Protocol):
    """Says when somebody has tried too often. Answers in seconds until the next try, or None for go ahead.

    Plain methods for sign-ins run in a worker thread in asyncio code; those for refreshes must not block.
    """

    def sign_in(self, account: str, address: str, device: str | None) -> int | None:
        """Count an attempt to sign in. device: the id of a browser that has signed in to this account before."""
        ...

    def signed_in(self, account: str, address: str, device: str | None) -> None:
        """The account's owner has come in, from there."""
        ...

    def refresh(self, session_id: str) -> int | None:
        """Ask whether a genuine refresh token of this session may be presented."""
        ...

    def refresh_refused(self, session_id: str) -> None:
        """Count a genuine refresh token of this session that was refused."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that endpoints share. `cookies` is None where the browser's transport is switched off. `login_page` is
    where a navigation goes that has no session: a path of this site, which is given `next`. `prefix` is where the
    endpoints of people's apps are, in place of /auth."""

    issuer: Issuer
    authenticator: Authenticator
    throttle: Throttle
    cookies: CookieTransport | None
    clients: KnownClients = field(default_factory=KnownClients)
    login_page: str | None = None
    prefix: str = PREFIX

    def __post_init__(self) -> None:
        check_path("The endpoints' prefix", self.prefix)

    def base(self, request: Request) -> str:
        """Where the endpoints are, as the browser sees it."""
        told = self.cookies.path if self.cookies is not None else None
        if told is not None and told.endswith(self.prefix):
            return told
        return request.endpoints or request.root + self.prefix

    def cookies_of(self, request: Request) -> Cookies | None:
        """The cookies of a request, or None where they are switched off."""
        if self.cookies is None:
            return None
        return Cookies(self.cookies, request, self.cookies.path or self.base(request), self.issuer.mark_keys)


Endpoint = Callable[[Service, Request], Response | Flow[Response]]
"""Answers at once, or is a flow where it needs something from outside."""

_STATUS: list[tuple[type[TenureError], int]] = [
    (ForeignOrigin, 403),
    (InvalidClient, 401),
    (InvalidAccessToken, 401),
    (InsufficientScope, 403),
    (StoreUnavailable, 503),
    (ApplicationFailed, 503),
    (ConfigurationError, 503),
]


def at_prefix(path: str, prefix: str) -> str:
    """A path of the table, with `prefix` in place of /auth."""
    return prefix + path.removeprefix(PREFIX) if path.startswith(f"{PREFIX}/") else path


def endpoint_for(endpoints: Mapping[str, Endpoint], method: str) -> Endpoint:
    """The endpoint of a path that answers `method`; HEAD is answered as GET is. Raises MethodNotAllowed."""
    endpoint = endpoints.get("GET" if method == "HEAD" else method)
    if endpoint is None:
        raise MethodNotAllowed([*endpoints, *(["HEAD"] if "GET" in endpoints else [])])
    return endpoint


def answer(endpoint: Endpoint, service: Service, request: Request) -> Flow[Response]:
    """What `endpoint` answers, errors included."""
    try:
        answered = endpoint(service, request)
        return answered if isinstance(answered, Response) else (yield from answered)
    except TenureError as problem:
        if not isinstance(problem, Answered | InvalidAccessToken):  # of access tokens `caller` has told
            service.issuer.refused(problem)
        if isinstance(problem, ConfigurationError):
            _log.error("%s %s can't be answered: %s", request.method, request.path, problem)
        return error_response(problem)


def error_response(problem: TenureError) -> Response:
    """`problem` as JSON (RFC 6749 section 5.2), with the headers that its status asks for."""
    if isinstance(problem, Answered):
        return problem.response
    status = next((status for kind, status in _STATUS if isinstance(problem, kind)), None)
    if status is None:
        status = 500 if problem.code == TenureError.code else 400
    headers: list[tuple[str, str]] = []
    if isinstance(problem, RequestError):
        status, headers = problem.status, list(problem.headers)
    elif isinstance(problem, StoreUnavailable | ApplicationFailed | ConfigurationError):
        headers.append(("retry-after", "1"))
    elif isinstance(problem, InvalidClient):
        headers.append(("www-authenticate", 'Basic realm="tenure", Bearer realm="tenure"'))
    elif isinstance(problem, NoAccessToken):
        headers.append(("www-authenticate", 'Bearer realm="tenure"'))
    elif isinstance(problem, InvalidAccessToken | InsufficientScope):
        said = f'Bearer realm="tenure", error="{problem.code}", error_description="{problem}"'
        headers.append(("www-authenticate", said))
    content = {"error": problem.code, "error_description": str(problem)}
    if isinstance(problem, ConfigurationError):
        # The operator's to mend, and logged for them: the caller learns no more than that trying again may help.
        content = {"error": ApplicationFailed.code, "error_description": ApplicationFailed.message}
    if problem.reason is not None:
        content["reason"] = problem.reason
    return json_response(content, status, headers)


class Answered(TenureError):
    """Not refused, but answered already, in place of what was asked for: by `response`."""

    def __init__(self, response: Response) -> None:
        super().__init__("The request is answered in another way.")
        self.response = response


class NoAccessToken(InvalidAccessToken):
    """The request carries no access token (RFC 6750 section 3.1: then no error code is in the challenge)."""

    message = "An access token is needed: Authorization: Bearer …"


def caller(service: Service, request: Request) -> Claims:
    """What the caller's access token says; raises InvalidAccessToken."""
    token = bearer(request)
    if token is None:
        nobody = NoAccessToken()
        service.issuer.refused(nobody)
        raise nobody
    return service.issuer.verified(token)


def renewed_just_now(service: Service, cookies: Cookies) -> tuple[str, Claims] | None:
    """The access token in a page's cookie, with what it says, if it was issued within the leeway: another tab has it.

    This tab was sent to refresh before that, and its browser has the newer cookies by now. If it refreshed with them, a
    third tab's request that is still under way with the older cookies would look like a theft.
    """
    for token in cookies.access_tokens():
        try:
            claims = service.issuer.checker.check(token)
        except InvalidAccessToken:
            continue
        if service.issuer.now() - claims.issued_at <= service.issuer.policy.leeway:
            return token, claims
    return None


def token_answer(pair: TokenPair) -> dict[str, Any]:
    """A pair of tokens as the body of an answer (RFC 6749 section 5.1)."""
    content = {
        "access_token": pair.access_token,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
        "refresh_token": pair.refresh_token,
        "refresh_expires_in": pair.refresh_expires_in,
        "session_id": pair.session_id,
    }
    return {**content, "scope": pair.scope} if pair.scope else content


def pair_response(pair: TokenPair, cookies: Cookies | None, *more: Header) -> Response:
    """A pair as an answer: the refresh token in its cookie, or, without `cookies`, in the body."""
    content = token_answer(pair)
    if cookies is None:
        return json_response(content)
    headers = cookies.set_refresh(content.pop("refresh_token"), pair.session_id, pair.refresh_expires_in)
    return json_response(content, headers=[*headers, *more])
