"""What endpoints share: the `Service` and its parts, and errors as JSON with an OAuth code and a status.

A `Service` is a value made once, not per request.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tenure.core.access import Claims
from tenure.core.dpop import ALGORITHMS
from tenure.core.effects import Flow
from tenure.core.errors import (
    ApplicationFailed,
    ConfigurationError,
    DeviceProofDelayed,
    InsufficientScope,
    InvalidAccessToken,
    InvalidClient,
    ProofRequired,
    StoreUnavailable,
    TenureError,
)
from tenure.core.issuer import Issuer, TokenPair
from tenure.core.origins import check_path, origin_of
from tenure.core.step_up import InsufficientAuthentication
from tenure.http.clients import KnownClients
from tenure.http.cookies import Cookies, CookieTransport, ForeignOrigin, Header
from tenure.http.devices_page import DevicesPage
from tenure.http.messages import (
    MethodNotAllowed,
    Request,
    RequestError,
    Response,
    access_token,
    json_response,
    with_header,
)

PREFIX = "/auth"
PROOF = "dpop"
"""The header that carries a proof (RFC 9449 section 4.1)."""

_log = logging.getLogger("tenure")


PasswordCheck = Callable[[str, str], str | Awaitable[str | None] | None]
"""A function that answers the subject of a name and a password, or None; plain or `async`."""


class Authenticator(Protocol):
    """Checks names and passwords. Any object with this method will do; it may also be `async`."""

    def authenticate(self, username: str, password: str) -> str | Awaitable[str | None] | None:
        """The subject with these credentials, or None. Called in a worker thread, so it may block."""
        ...


class Throttle(Protocol):
    """Rate limits. Methods return the seconds to wait, or None to go ahead.

    In asyncio code, plain methods for logins run in a worker thread; those for refreshes must not block.
    """

    def sign_in(self, account: str, address: str, device: str | None) -> int | None:
        """Count a login attempt. device: the id of a browser that has logged in to this account before."""
        ...

    def signed_in(self, account: str, address: str, device: str | None) -> None:
        """The account's owner has logged in from there."""
        ...

    def refresh(self, session_id: str) -> int | None:
        """Whether a genuine refresh token of this session may be presented now. session_id: its id, followed by a space
        and the key that the request shows, if it shows one."""
        ...

    def refresh_refused(self, session_id: str) -> None:
        """Count a genuine refresh token of this session that was refused."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that endpoints share. cookies: None if the browser transport is off. login_page: where a navigation
    without a session is redirected, a path of this site that gets `next`. prefix: replaces /auth in the endpoints'
    paths. devices: what the application changes of "Your devices"."""

    issuer: Issuer
    authenticator: Authenticator
    throttle: Throttle
    cookies: CookieTransport | None
    clients: KnownClients = field(default_factory=KnownClients)
    login_page: str | None = None
    prefix: str = PREFIX
    devices: DevicesPage = field(default_factory=DevicesPage)

    def __post_init__(self) -> None:
        check_path("The endpoints' prefix", self.prefix)

    def base(self, request: Request) -> str:
        """The path of the endpoints, as the browser sees it."""
        told = self.cookies.path if self.cookies is not None else None
        if told is not None and told.endswith(self.prefix):
            return told
        return request.endpoints or request.root + self.prefix

    def address_of(self, request: Request) -> str:
        """The address of a request as its client knows it: at the issuer's origin.

        Not as the Host header says: a proof that was made for another host would be good here, too.
        """
        return origin_of(self.issuer.url) + request.root + request.path

    def cookies_of(self, request: Request) -> Cookies | None:
        """The cookies of a request, or None if the browser transport is off."""
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
    (DeviceProofDelayed, 503),
    (ConfigurationError, 503),
]


def at_prefix(path: str, prefix: str) -> str:
    """A path of the table, with `prefix` in place of /auth."""
    return prefix + path.removeprefix(PREFIX) if path.startswith(f"{PREFIX}/") else path


def endpoint_for(endpoints: Mapping[str, Endpoint], method: str) -> Endpoint:
    """The endpoint for `method`, with GET for HEAD. Raises MethodNotAllowed."""
    endpoint = endpoints.get("GET" if method == "HEAD" else method)
    if endpoint is None:
        raise MethodNotAllowed([*endpoints, *(["HEAD"] if "GET" in endpoints else [])])
    return endpoint


def answer(endpoint: Endpoint, service: Service, request: Request) -> Flow[Response]:
    """Run an endpoint and return its response, errors included."""
    try:
        answered = endpoint(service, request)
        response = answered if isinstance(answered, Response) else (yield from answered)
    except TenureError as problem:
        if not isinstance(problem, Answered | InvalidAccessToken):  # `caller` has reported invalid access tokens
            service.issuer.refused(problem)
        if isinstance(problem, ConfigurationError):
            _log.error("%s %s can't be answered: %s", request.method, request.path, problem)
        response = error_response(problem)
    return with_header(response, "dpop-nonce", service.issuer.proofs.nonce()) if PROOF in request.headers else response


def error_response(problem: TenureError) -> Response:
    """An error as JSON (RFC 6749 section 5.2), with the headers that its status requires."""
    if isinstance(problem, Answered):
        return problem.response
    status = next((status for kind, status in _STATUS if isinstance(problem, kind)), None)
    if status is None:
        status = 500 if problem.code == TenureError.code else 400
    headers: list[tuple[str, str]] = []
    if isinstance(problem, RequestError):
        status, headers = problem.status, list(problem.headers)
    elif isinstance(problem, StoreUnavailable | ApplicationFailed | DeviceProofDelayed | ConfigurationError):
        headers.append(("retry-after", "1"))
    elif isinstance(problem, InvalidClient):
        headers.append(("www-authenticate", 'Basic realm="tenure", Bearer realm="tenure"'))
    elif isinstance(problem, ProofRequired):
        said = (
            f'DPoP realm="tenure", error="{problem.code}", error_description="{problem}", algs="{" ".join(ALGORITHMS)}"'
        )
        headers.append(("www-authenticate", said))
    elif isinstance(problem, InsufficientAuthentication):
        headers.append(("www-authenticate", problem.challenge()))
    elif isinstance(problem, NoAccessToken):
        headers.append(("www-authenticate", 'Bearer realm="tenure"'))
    elif isinstance(problem, InvalidAccessToken | InsufficientScope):
        said = f'Bearer realm="tenure", error="{problem.code}", error_description="{problem}"'
        headers.append(("www-authenticate", said))
    content: dict[str, Any] = {"error": problem.code, "error_description": str(problem)}
    if isinstance(problem, ConfigurationError):
        # This is for the operator, who finds it in the log. The caller only learns to try again.
        content = {"error": ApplicationFailed.code, "error_description": ApplicationFailed.message}
    if isinstance(problem, InsufficientAuthentication):
        content |= {"max_age": problem.max_age, "acr_values": list(problem.acr_values)}
    if problem.reason is not None:
        content["reason"] = problem.reason
    return json_response(content, status, headers)


class Answered(TenureError):
    """Not an error: `response` replaces the endpoint's own response."""

    def __init__(self, response: Response) -> None:
        super().__init__("The request is answered in another way.")
        self.response = response


class NoAccessToken(InvalidAccessToken):
    """The request carries no access token. The challenge then has no error code (RFC 6750 section 3.1)."""

    message = "An access token is needed: Authorization: Bearer …"


def caller(service: Service, request: Request, *, method: str | None = None, url: str | None = None) -> Claims:
    """The claims of the caller's access token. Raises InvalidAccessToken.

    method, url: what request a DPoP proof is to be for, if it is not this one.
    """
    presented = access_token(request)
    if presented is None:
        nobody = NoAccessToken()
        service.issuer.refused(nobody)
        raise nobody
    token, with_proof = presented
    if not with_proof:
        return service.issuer.verified(token)
    proof = request.headers.get(PROOF, "")
    return service.issuer.verified(
        token, proof=proof, method=method or request.method, urls=[url or service.address_of(request)]
    )


def renewed_just_now(service: Service, cookies: Cookies) -> tuple[str, Claims] | None:
    """The access token in a page's cookie and its claims, if another tab obtained it within the leeway.

    The other tab's response has replaced this tab's cookies in the meantime. If this request refreshed with the new
    cookies, a third tab's request that is still under way with the old ones would look like theft.
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
    """A pair of tokens as the body of a response (RFC 6749 section 5.1)."""
    content = {
        "access_token": pair.access_token,
        "token_type": pair.token_type,
        "expires_in": pair.expires_in,
        "refresh_token": pair.refresh_token,
        "refresh_expires_in": pair.refresh_expires_in,
        # As draft-ietf-oauth-refresh-token-expiration names them:
        "refresh_token_expires_in": pair.refresh_expires_in,
        "authorization_expires_in": pair.authorization_expires_in,
        "session_id": pair.session_id,
    }
    return {**content, "scope": pair.scope} if pair.scope else content


def lasting(pair: TokenPair) -> int | None:
    """For how many seconds a browser keeps the session's cookies; None: until it is closed."""
    return pair.refresh_expires_in if pair.outlives_browser else None


def pair_response(pair: TokenPair, cookies: Cookies | None, *more: Header) -> Response:
    """A response with a pair of tokens: the refresh token in its cookie, or, without `cookies`, in the body."""
    content = token_answer(pair)
    if cookies is None:
        return json_response(content)
    headers = cookies.set_refresh(content.pop("refresh_token"), pair.session_id, lasting(pair))
    return json_response(content, headers=[*headers, *more])
