"""For checking access tokens elsewhere: by a proxy that asks, or by verifiers that follow revocations.

A proxy (nginx's auth_request, forward-auth of Traefik and Caddy) sends each request's token to `/auth/verify` and may
cache the response for some seconds. A verifier has the public keys and follows `/auth/revoked`, so that it refuses a
session's tokens at once when the session ends, not only when they expire.
"""

import json
from urllib.parse import quote

from tenure.core.calls import Revocations, RevokedSince
from tenure.core.effects import Flow, Pause, call
from tenure.core.errors import InvalidRequest
from tenure.core.inputs import NAMES
from tenure.core.step_up import Requirement
from tenure.http.messages import Request, Response, json_response, query
from tenure.http.service import Service, caller

KEPT_SECONDS = 5
LONGEST_WAIT_SECONDS = 30
LOOK_SECONDS = 0.25
_MAX_DIGITS = 18
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def verify(service: Service, request: Request) -> Response:
    """GET /auth/verify: 204 with the user in headers, or 401 (RFC 6750 section 3)

    A DPoP proof is for the request that the proxy asks about: X-Forwarded-Method, -Proto, -Host and -Uri name it. The
    query may say how the user has to be authenticated: `max_age` in seconds, `acr_values` (RFC 9470).
    """
    needs = _needs(query(request))
    forwarded = {name: request.headers.get(f"x-forwarded-{name}") for name in ("method", "proto", "host", "uri")}
    named = all(forwarded.values())
    url = f"{forwarded['proto']}://{forwarded['host']}{forwarded['uri']}" if named else None
    claims = caller(service, request, method=forwarded["method"], url=url)
    now = service.issuer.now()
    needs.check(claims, now)
    good_until = (
        claims.expires_at if needs.max_age is None else min(claims.expires_at, claims["auth_time"] + needs.max_age)
    )
    kept = max(0, min(KEPT_SECONDS, int(good_until - now)))
    # A proof is for one request: whoever has copied the token would find the response in the proxy's cache.
    cache = f"max-age={kept}" if claims.thumbprint is None else "no-store"
    caller_headers = {
        "x-auth-subject": claims.subject,
        "x-auth-session": claims.session_id,
        "x-auth-client": claims.client_id,
        "x-auth-scope": claims.scope,
    }
    headers = [(name, _printable(value)) for name, value in caller_headers.items()]
    return Response(204, [("cache-control", cache), ("vary", "authorization, dpop"), *headers])


def revoked(service: Service, request: Request) -> Flow[Response]:
    """GET /auth/revoked: the sessions that ended after `since`; waits up to `wait` seconds for the first one

    Lists only sessions whose access tokens may still be valid: for `keep_for` seconds after `revoked_at`. The
    response's `position` is the next request's `since`.
    """
    parameters = query(request)
    since, wait = _number(parameters, "since"), min(_number(parameters, "wait"), LONGEST_WAIT_SECONDS)
    heard, cutoffs = service.issuer.heard, service.issuer.checker.cutoffs
    news = yield from call(RevokedSince(since))
    for _ in range(int(wait / LOOK_SECONDS)):
        if _alive(service, news) or service.issuer.checker.cutoffs != cutoffs:
            break
        yield Pause(LOOK_SECONDS)
        if service.issuer.heard != heard:
            heard = service.issuer.heard
            news = yield from call(RevokedSince(since))
    revoked_lately, policy = _alive(service, news), service.issuer.policy
    ended = [one.body() for one in service.issuer.checker.cutoffs]
    etag = f'"{news.position}"'
    headers = [("etag", etag), ("access-control-allow-origin", "*")]
    if not revoked_lately and not ended and request.headers.get("if-none-match") == etag:
        return Response(304, headers)
    content: dict[str, object] = {
        "position": news.position,
        "keep_for": policy.access_ttl + policy.clock_skew,
        "revoked": revoked_lately,
    }
    if ended:
        content["cutoffs"] = [json.loads(one) for one in ended]
    return json_response(content, headers=headers, cache="no-cache")


def _alive(service: Service, news: Revocations) -> list[dict[str, object]]:
    policy = service.issuer.policy
    last_of_interest = service.issuer.now() - policy.access_ttl - policy.clock_skew
    return [{"sid": sid, "revoked_at": round(at, 3)} for sid, at in news.revoked if at > last_of_interest]


def _needs(parameters: dict[str, str]) -> Requirement:
    max_age = _number(parameters, "max_age") if "max_age" in parameters else None
    acr_values = parameters.get("acr_values", "")
    if acr_values and not NAMES.fullmatch(acr_values):
        raise InvalidRequest("acr_values is a list of names with one space between them.")
    return Requirement(max_age, tuple(acr_values.split()))


def _number(parameters: dict[str, str], name: str) -> int:
    value = parameters.get(name, "0")
    if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
        raise InvalidRequest(f"{name} is a whole number.")
    return int(value)


def _printable(text: str) -> str:
    """Text for a header: anything but printable ASCII is percent-encoded (RFC 3986 section 2.1)."""
    return quote(text, safe=_PRINTABLE)
