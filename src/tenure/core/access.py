"""The access token: a JWT by RFC 9068, signed by the issuer, checked by anyone with the public keys.

A check needs no I/O: signature, type, issuer, audience, expiry, and the few sessions known to have ended. A key is only
used with its own algorithm, whatever the token's header says. So `none`, an HMAC keyed with a public key, and embedded
keys are never accepted (RFC 8725 sections 3.1 and 3.2).

This module joins and splits the compact form itself: the header is the same for every token of a key, so it is encoded
once and parsed once.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry
from joserfc.util import json_b64decode, json_b64encode, urlsafe_b64decode, urlsafe_b64encode

from tenure.core.cutoffs import Cutoff
from tenure.core.errors import ConfigurationError, ExpiredAccessToken, InvalidAccessToken, RevokedAccessToken
from tenure.core.keys import ALGORITHMS, SigningKey
from tenure.core.signatures import Verify, signing, verifying

TYPE = "at+jwt"
MAX_TOKEN_CHARS = 8192
MAX_ISSUED_CHARS = 8000
"""The longest token that is issued: with "Authorization: Bearer " before it, the 8 kB that proxies take of one header
line hold it (nginx large_client_header_buffers, Apache LimitRequestFieldSize)."""

_HEADER_AND_SIGNATURE_CHARS = 512  # RS256, the largest: claims keep fitting when the algorithm changes

RESERVED_CLAIMS = frozenset(
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "sid", "auth_time", "began", "scope", "cnf"]
)

_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode
_REGISTRY = JWSRegistry(algorithms=list(ALGORITHMS))


def names_of(algorithm: str) -> tuple[str, ...]:
    """The names of `algorithm` in a header: for Ed25519 (RFC 9864), also the older EdDSA."""
    return ("Ed25519", "EdDSA") if algorithm == "Ed25519" else (algorithm,)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified access token says. Times are in seconds, UTC; `raw` is the whole payload, read-only.

    thumbprint: of the key that the token is bound to (`cnf.jkt`, RFC 9449 section 6), or None.
    """

    subject: str
    session_id: str
    client_id: str
    scope: str
    issued_at: int
    expires_at: int
    raw: Mapping[str, Any]
    thumbprint: str | None = None

    def __getitem__(self, name: str) -> Any:
        return self.raw[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The claim of this name, or `default`."""
        return self.raw.get(name, default)


def application_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """An immutable copy of the application's claims, as JSON represents them.

    Raises ConfigurationError for claims that would shadow the token's own, or that JSON can't represent.
    """
    if not isinstance(claims, Mapping):
        raise ConfigurationError(f"Application claims are a mapping of names to values, not {type(claims).__name__}.")
    shadowed = sorted(RESERVED_CLAIMS.intersection(claims))
    if shadowed:
        raise ConfigurationError(f"Application claims can't set {', '.join(shadowed)}: they are the token's own.")
    try:
        text = json.dumps(dict(claims), allow_nan=False, ensure_ascii=False)
        text.encode()
        copied: dict[str, Any] = json.loads(text)
    except (TypeError, ValueError, RecursionError) as problem:
        raise ConfigurationError("Application claims must be plain JSON values.") from problem
    return copied


def check_fits(payload: Mapping[str, Any]) -> None:
    """Raise ConfigurationError if the token would be longer than MAX_ISSUED_CHARS."""
    length = len(_encode(payload)) * 4 // 3 + _HEADER_AND_SIGNATURE_CHARS
    if length > MAX_ISSUED_CHARS:
        raise ConfigurationError(
            f"With these claims an access token has {length} characters, but a header line holds no more than "
            f"{MAX_ISSUED_CHARS}: put names into claims (of roles, of a tenant), not what they stand for."
        )


class Signer:
    """Signs payloads with one key, whose header is encoded once."""

    def __init__(self, key: SigningKey) -> None:
        self.key = key
        self._sign = signing(key.algorithm, key.jwk)
        self._header = json_b64encode({"alg": key.algorithm, "typ": TYPE, "kid": key.kid}) + b"."

    def sign(self, payload: Mapping[str, Any]) -> str:
        """The access token with this payload."""
        signing_input = self._header + urlsafe_b64encode(_encode(payload).encode())
        return (signing_input + b"." + urlsafe_b64encode(self._sign(signing_input))).decode("ascii")


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key and the one algorithm it may be used with.

    Raises joserfc's InvalidKeyTypeError and similar if the two don't match (a P-384 key for ES256).
    """

    algorithm: str
    jwk: Key

    def __post_init__(self) -> None:
        _REGISTRY.get_alg(self.algorithm).check_key(self.jwk)


class Checker:
    """Checks access tokens against keys it is given, for one issuer and one audience. Does no I/O.

    now: the clock, in seconds, UTC. clock_skew: how long after its expiry a token is still accepted, in seconds.
    cache_size: how many verified tokens are cached until they expire.
    """

    def __init__(
        self, issuer: str, audience: str, now: Callable[[], float], clock_skew: float = 0.0, cache_size: int = 10_000
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._now = now
        self._skew = clock_skew
        self._cache_size = cache_size
        self._cache: dict[str, Claims] = {}
        self._keys: Mapping[str, VerifyingKey] = {}
        self._headers: dict[bytes, Verify] = {}
        self._revoked: dict[str, float] = {}
        self.cutoffs: Sequence[Cutoff] = ()
        self._waiting: dict[str, list[Callable[[], object]]] = {}

    def use_keys(self, keys: Mapping[str, VerifyingKey]) -> None:
        """Trust these keys, by their `kid`, and no others."""
        if keys != self._keys:
            self._keys, self._headers, self._cache = dict(keys), {}, {}

    def knows_key(self, kid: str) -> bool:
        """Whether a key with this id is trusted."""
        return kid in self._keys

    def revoke(self, session_id: str, until: float) -> None:
        """Refuse this session's tokens until the last of them has expired, at `until` (seconds, UTC)."""
        self._revoked[session_id] = until
        for notify in self._waiting.pop(session_id, []):
            notify()

    def when_revoked(self, session_id: str, notify: Callable[[], object]) -> Callable[[], None]:
        """Call `notify`, from any thread, once this session is revoked. Returns a function that cancels that."""
        self._waiting.setdefault(session_id, []).append(notify)
        if session_id in self._revoked:
            self.revoke(session_id, self._revoked[session_id])

        def take_back() -> None:
            waiting = self._waiting.get(session_id, [])
            if notify in waiting:
                waiting.remove(notify)
            if not waiting:
                self._waiting.pop(session_id, None)

        return take_back

    def is_revoked(self, session_id: str) -> bool:
        """Whether this session's tokens are refused."""
        return session_id in self._revoked

    def revoked(self) -> list[str]:
        """The ids of all sessions whose tokens are refused."""
        return list(self._revoked)

    def forget_expired(self) -> None:
        """Drop revocations whose tokens have all expired."""
        now = self._now()
        for session_id, until in self._revoked.copy().items():
            if until <= now:
                self._revoked.pop(session_id, None)

    def check(self, token: str) -> Claims:
        """What a valid token says; raises InvalidAccessToken for any other."""
        if not isinstance(token, str):
            raise InvalidAccessToken(f"The access token is text, not {type(token).__name__}.")
        claims = self._cache.get(token)
        if claims is None:
            claims = self._remember(token, self._check_claims(self._check_signature(token)))
        if claims.expires_at + self._skew <= self._now():
            raise ExpiredAccessToken
        if claims.session_id in self._revoked:
            raise RevokedAccessToken
        if self.cutoffs:
            self._check_cutoffs(claims)
        return claims

    def _check_cutoffs(self, claims: Claims) -> None:
        began = float(claims.raw.get("began", claims.raw.get("auth_time", 0)))
        refusing = [one for one in self.cutoffs if one.refuses(claims.issued_at, began, claims.client_id)]
        if any(one.is_final for one in refusing):
            raise RevokedAccessToken
        if refusing:
            raise ExpiredAccessToken

    def _check_signature(self, token: str) -> str:
        if len(token) > MAX_TOKEN_CHARS:
            raise InvalidAccessToken("The access token is too long.")
        try:
            signing_input, _, signature = token.encode("ascii").rpartition(b".")
            header, _, payload = signing_input.partition(b".")
            known = self._headers.get(header)
            verify = known or self._read_header(header)
            valid = verify(signing_input, urlsafe_b64decode(signature))
            body = base64.urlsafe_b64decode(payload + b"==").decode()
        except InvalidAccessToken:
            raise
        except (ValueError, TypeError, IndexError, RecursionError, JoseError) as problem:
            raise InvalidAccessToken("The access token is not a JWT.") from problem
        if not valid:
            raise InvalidAccessToken("The access token's signature is wrong.")
        if known is None:
            self._headers[header] = verify
        return body

    def _read_header(self, segment: bytes) -> Verify:
        header = json_b64decode(segment)
        if not isinstance(header, dict) or not isinstance(header.get("kid"), str):
            raise InvalidAccessToken("The access token names no key.")
        # RFC 9068 section 4: without the right type, another JWT of this issuer could pass for an access token.
        if str(header.get("typ")).lower() not in (TYPE, "application/" + TYPE):
            raise InvalidAccessToken(f"The access token's type is not {TYPE}.")
        if "crit" in header:
            raise InvalidAccessToken("The access token requires unsupported extensions.")
        key = self._keys.get(header["kid"])
        if key is None:
            raise UnknownKey(header["kid"])
        if header.get("alg") not in names_of(key.algorithm):
            raise InvalidAccessToken("The access token's algorithm is not its key's.")
        return verifying(key.algorithm, key.jwk)

    def _check_claims(self, body: str) -> Claims:
        try:
            payload = _decode(body)
            audience = payload["aud"]
            claims = Claims(
                subject=payload["sub"],
                session_id=payload["sid"],
                client_id=payload["client_id"],
                scope=payload.get("scope", ""),
                issued_at=payload["iat"],
                expires_at=payload["exp"],
                raw=MappingProxyType(payload),
                thumbprint=payload["cnf"]["jkt"] if "cnf" in payload else None,
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
            raise InvalidAccessToken("The access token lacks required claims.") from problem
        if payload.get("iss") != self._issuer:
            raise InvalidAccessToken("The access token is from another issuer.")
        if audience != self._audience and not (isinstance(audience, list) and self._audience in audience):
            raise InvalidAccessToken("The access token is for another audience.")
        thumbprint_fits = claims.thumbprint is None or isinstance(claims.thumbprint, str)
        if not (isinstance(claims.expires_at, int | float) and isinstance(claims.session_id, str) and thumbprint_fits):
            raise InvalidAccessToken("The access token's claims have the wrong types.")
        return claims

    def _remember(self, token: str, claims: Claims) -> Claims:
        while len(self._cache) >= self._cache_size:
            self._cache.pop(next(iter(self._cache)), None)
        self._cache[token] = claims
        return claims


class UnknownKey(InvalidAccessToken):
    """The token names an unknown key. `kid` is its id."""

    def __init__(self, kid: str) -> None:
        super().__init__("The access token is signed with an unknown key.")
        self.kid = kid
