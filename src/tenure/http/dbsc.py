"""Device Bound Session Credentials (W3C draft, 2026): the browser binds its session to a key of its device.

A login by cookie offers to register. A browser that knows the header names a key, and gets a short-lived cookie beside
the refresh token's. When that has expired, the browser signs a challenge to get it anew before it sends any request to
the endpoints; a refresh without it is refused. Other browsers notice nothing.

Challenges are stateless: signed, for one session, good for a minute.
"""

import re

from tenure.core import dbsc
from tenure.core.binding import device_binding
from tenure.core.effects import Flow
from tenure.core.errors import DeviceProofDelayed, InvalidDeviceProof, InvalidProof, InvalidRequest
from tenure.core.existing import is_session_id
from tenure.core.issuer import TokenPair
from tenure.core.origins import origin_of
from tenure.http.cookies import Cookies, Header
from tenure.http.marks import (
    CHALLENGE_SECONDS,
    MARK_ID_BYTES,
    PROVEN_SECONDS,
    challenge_for,
    challenged,
    proven_by,
    proven_mark,
)
from tenure.http.messages import NotFound, Request, Response, json_response
from tenure.http.presented import own_refresh_token
from tenure.http.service import Service

_REGISTER, _REFRESH = "register", "refresh"
_STRING = re.compile(r' *(?:"([^"\\]*)"|([A-Za-z0-9_.-]+)) *(;.*)?')
_CHALLENGE_NEEDED = 403
"""What makes the browser sign the challenge of the response (section 8.8)."""


def offer(service: Service, cookies: Cookies | None, pair: TokenPair) -> list[Header]:
    """The header of a login by cookie that offers a browser to register a key for this session (section 9.1)."""
    if cookies is None or service.issuer.policy.binding != "offered" or pair.token_type == "DPoP":  # noqa: S105 - no secret
        return []
    challenge = _challenge(service, pair.session_id, _REGISTER)
    return [
        (
            "secure-session-registration",
            f'(ES256 RS256);path="{service.base(cookies.request)}/dbsc/register";challenge="{challenge}"',
        )
    ]


def register(service: Service, request: Request) -> Flow[Response]:
    """POST /auth/dbsc/register: bind the session to the key that the browser names."""
    cookies = _cookies(service, request)
    proof = dbsc.read_proof(_proof(request), _address(service, request, _REGISTER))
    key = proof.named_key()
    session_id = _challenged(service, proof, _REGISTER)
    own = yield from own_refresh_token(service.issuer, cookies)
    if session_id is None or own is None or own.session_id != session_id:
        raise InvalidDeviceProof("The proof answers no challenge of this session's login.", "challenge")
    session = yield from dbsc.bind_to_device(service.issuer, session_id, key)
    return _proven(service, cookies, session.id, device_binding(key.jwk))


def refresh(service: Service, request: Request) -> Flow[Response]:
    """POST /auth/dbsc/refresh: ask the browser to sign a challenge; once it did, let it refresh for ten minutes.

    A proof of an old challenge is answered with a new one. An error ends the browser's registration.
    """
    cookies = _cookies(service, request)
    session_id = _string(request.headers.get("sec-secure-session-id", ""))
    if session_id is None or not is_session_id(session_id):
        raise InvalidRequest("A browser names its session: Sec-Secure-Session-Id.")
    if "secure-session-response" not in request.headers:
        return _ask_to_sign(service, session_id)
    proof = dbsc.read_proof(_proof(request), _address(service, request, _REFRESH), session_id)
    if _challenged(service, proof, _REFRESH) != session_id:
        return _ask_to_sign(service, session_id)
    session = yield from dbsc.check_device(service.issuer, session_id, proof)
    try:
        # Twice as long, as a challenge of an instance whose clock is ahead is good for longer.
        service.issuer.proofs.once(session_id, proof.challenge, 2 * CHALLENGE_SECONDS)
    except InvalidProof:
        return _ask_to_sign(service, session_id)
    return _proven(service, cookies, session_id, session.binding or "")


def proven_binding(service: Service, request: Request, session_id: str) -> str | None:
    """The binding to a device that the browser has proven for this session lately, or None.

    Raises DeviceProofDelayed if the browser says that it could not (section 9.5).
    """
    if "cookie" not in request.headers or (cookies := service.cookies_of(request)) is None:
        return None
    now = service.issuer.now()
    for mark in cookies.proven_marks():
        binding = proven_by(mark, session_id, now, service.issuer.mark_keys)
        if binding is not None:
            return binding
    if session_id in request.headers.get("secure-session-skipped", ""):
        raise DeviceProofDelayed
    return None


def _ask_to_sign(service: Service, session_id: str) -> Response:
    challenge = _challenge(service, session_id, _REFRESH)
    headers = [("secure-session-challenge", f'"{challenge}";id="{session_id}"')]
    content = {"error": InvalidDeviceProof.code, "error_description": "Sign the challenge with the session's key."}
    return json_response(content, _CHALLENGE_NEEDED, headers)


def _proven(service: Service, cookies: Cookies, session_id: str, binding: str) -> Response:
    """The short-lived cookie, and the instructions when to renew it (section 9.6)."""
    mark = proven_mark(session_id, binding, service.issuer.now(), service.issuer.mark_keys[0])
    instructions = {
        "session_identifier": session_id,
        "refresh_url": f"{service.base(cookies.request)}/dbsc/refresh",
        # No rules: the path of the cookie limits this to the endpoints (section 8.6).
        "scope": {"origin": cookies.transport.origin, "include_site": False},
        "credentials": [{"type": "cookie", "name": cookies.proven_name, "attributes": cookies.attributes_here}],
        "allowed_refresh_initiators": sorted(_host(origin) for origin in cookies.transport.allowed_origins),
    }
    return json_response(instructions, headers=[cookies.set_proven(mark, PROVEN_SECONDS)])


def _address(service: Service, request: Request, endpoint: str) -> str:
    """The address of an endpoint, as the browser sees it."""
    return f"{origin_of(service.issuer.url)}{service.base(request)}/dbsc/{endpoint}"


def _host(origin: str) -> str:
    return origin.partition("://")[2].partition(":")[0]


def _challenge(service: Service, session_id: str, purpose: str) -> str:
    issuer = service.issuer
    return challenge_for(session_id, purpose, issuer.now(), issuer.mark_keys[0], issuer.random(MARK_ID_BYTES))


def _challenged(service: Service, proof: dbsc.DeviceProof, purpose: str) -> str | None:
    return challenged(proof.challenge, purpose, service.issuer.now(), service.issuer.mark_keys)


def _proof(request: Request) -> str:
    proof = _string(request.headers.get("secure-session-response", ""))
    if proof is None:
        raise InvalidDeviceProof
    return proof


def _string(header: str) -> str | None:
    """A string of a structured header (RFC 9651 section 3.3.3), whose parameters don't matter here, or None.

    Chromium 150 leaves out the quotes, which the draft asks for.
    """
    found = _STRING.fullmatch(header)
    return None if found is None else found[1] or found[2]


def _cookies(service: Service, request: Request) -> Cookies:
    cookies = service.cookies_of(request)
    if cookies is None or service.issuer.policy.binding == "off":
        raise NotFound("Sessions are not bound to devices here.")
    return cookies
