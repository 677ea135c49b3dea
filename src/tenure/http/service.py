"""What every endpoint knows, and how what went wrong leaves: as JSON with its OAuth code and its status.

A `Service` is a value of parts; nothing in it is found out per request.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tenure.access import Claims
from tenure.effects import Flow
from tenure.errors import (
    ApplicationFailed,
    ConfigurationError,
    InsufficientScope,
    InvalidAccessToken,
    InvalidClient,
    StoreUnavailable,
    TenureError,
)
from tenure.http.clients import KnownClients
from tenure.http.cookies import CookieTransport, ForeignOrigin
from tenure.http.messages import MethodNotAllowed, Request, RequestError, Response, bearer, json_response
from tenure.issuer import Issuer, TokenPair

_log = logging.getLogger("tenure")


class Authenticator(Protocol):
    """Knows people by name and password. Anything with this method serves; it may also be `async`."""

    def authenticate(self, username: str, password: str) -> str | Awaitable[str | None] | None:
        """The subject of these credentials, or None. Called in a thread of its own, so that it may take its time."""
        ...


class Throttle(Protocol):
    """Says when somebody has tried too often. Answers in seconds until the next try, or None for go ahead."""

    def sign_in(self, account: str, address: str) -> int | None:
        """Count an attempt to sign in."""
        ...

    def signed_in(self, account: str) -> None:
        """Forget the attempts on an account whose owner has come in."""
        ...

    def refresh(self, address: str) -> int | None:
        """Ask whether this address may try to refresh."""
        ...

    def refresh_refused(self, address: str) -> None:
        """Count a refresh that was refused."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that endpoints share. `cookies` is None where the browser's transport is switched off. `login_page` is
    where a navigation goes that has no session: a path of this site, which is given `next`."""

    issuer: Issuer
    authenticator: Authenticator
    throttle: Throttle
    cookies: CookieTransport | None
    clients: KnownClients = field(default_factory=KnownClients)
    login_page: str | None = None


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


def renewed_just_now(service: Service, request: Request) -> Claims | None:
    """What the access token in a page's cookie says, if it was issued within the leeway: another tab has got it.

    Who was sent to refresh before that has the newer cookies all the same. If they refreshed with those, a third tab's
    request that is still under way with the older ones would look like a theft.
    """
    token = service.cookies.read_access(request) if service.cookies else None
    if token is None:
        return None
    try:
        claims = service.issuer.checker.check(token)
    except InvalidAccessToken:
        return None
    return claims if service.issuer.now() - claims.issued_at <= service.issuer.policy.leeway else None


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


def pair_response(service: Service, pair: TokenPair, *, cookie: bool) -> Response:
    """A pair as an answer: the refresh token in its cookie, or in the body."""
    content = token_answer(pair)
    if not cookie or service.cookies is None:
        return json_response(content)
    header = service.cookies.set(content.pop("refresh_token"), pair.refresh_expires_in)
    return json_response(content, headers=[header])
