"""The keys: those derived from the root secret, and the ring of keys that sign access tokens.

Everything symmetric is derived from the root secret by HKDF (RFC 5869) with a label per use. Signing keys are random;
they live in the store, encrypted under the root secret, so that every instance shares them. The ring is a value: every
instance computes the key that signs at a given moment from the same list, so all agree.

    published --(signing_key_prepublish)--> signs --(until the next key signs)--> checks
             --(until the last token it signed has expired)--> dropped
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from tenure.core.errors import ConfigurationError
from tenure.core.policy import Policy

SECRET_BYTES = 32
_GCM_NONCE_BYTES = 12

_GENERATE: dict[str, Callable[[], Key]] = {
    "ES256": lambda: ECKey.generate_key("P-256"),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519"),
    "RS256": lambda: RSAKey.generate_key(2048),
    "HS256": lambda: OctKey.generate_key(256),
}
ALGORITHMS = tuple(_GENERATE)

_KEY_CLASSES: dict[str, Any] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey, "oct": OctKey}


@dataclass(frozen=True, slots=True)
class DerivedKeys:
    """The keys derived from one root secret: `tag` seals refresh tokens, `wrap` encrypts keys at rest, `mark` signs the
    marks that a browser keeps, `nonce` makes the nonces of DPoP proofs."""

    tag: bytes = field(repr=False)
    wrap: bytes = field(repr=False)
    mark: bytes = field(repr=False)
    nonce: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: str | bytes) -> "DerivedKeys":
        """Derive from a root secret of at least 32 bytes; raises ConfigurationError for a shorter one."""
        if not isinstance(secret, str | bytes):
            raise ConfigurationError(f"The secret is text or bytes, not {type(secret).__name__}.")
        material = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret
        if len(material) < SECRET_BYTES:
            raise ConfigurationError(
                f"The secret has {len(material)} bytes; at least {SECRET_BYTES} random ones are needed. "
                "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        return cls(*(_derive(material, label) for label in _LABELS))


_LABELS = (b"refresh token tag", b"key wrap", b"browser mark", b"dpop nonce")


def _derive(material: bytes, label: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"tenure 1: " + label).derive(material)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key of the ring, with exactly one algorithm, and the moment (seconds, UTC) from which it signs."""

    kid: str
    algorithm: str
    created_at: float
    signs_from: float
    jwk: Key = field(repr=False)

    def public(self) -> dict[str, Any]:
        """The public half as a JWK (RFC 7517), for the JWKS."""
        return {**self.jwk.as_dict(private=False), "kid": self.kid, "alg": self.algorithm, "use": "sig"}


def generate_signing_key(algorithm: str, now: float, signs_from: float) -> SigningKey:
    """A new random key for `algorithm`, one of ALGORITHMS. Its id is the key's thumbprint (RFC 7638)."""
    if algorithm not in _GENERATE:
        raise ConfigurationError(f"The algorithm is one of {', '.join(ALGORITHMS)}, not {algorithm!r}.")
    jwk = _GENERATE[algorithm]()
    # A symmetric key's thumbprint is a hash of the key itself. As a kid is public, hash it once more.
    kid = hashlib.sha256(jwk.thumbprint().encode()).hexdigest()[:22]
    return SigningKey(kid, algorithm, now, signs_from, jwk)


def wrap(key: SigningKey, wrapping_key: bytes, random: Callable[[int], bytes]) -> str:
    """`key` as a record for the store: JSON in which the private part is encrypted (AES-256-GCM, bound to the rest)."""
    described = {
        "kid": key.kid,
        "alg": key.algorithm,
        "created_at": key.created_at,
        "signs_from": key.signs_from,
    }
    nonce = random(_GCM_NONCE_BYTES)
    private = json.dumps(key.jwk.as_dict(private=True)).encode()
    sealed = nonce + AESGCM(wrapping_key).encrypt(nonce, private, _bound(described))
    return json.dumps({**described, "sealed": base64.b64encode(sealed).decode()})


def unwrap(record: str, wrapping_keys: Sequence[bytes]) -> SigningKey | None:
    """The signing key of a record, or None if no key in `wrapping_keys` decrypts it."""
    described: dict[str, Any] = json.loads(record)
    sealed = base64.b64decode(described.pop("sealed"))
    for wrapping_key in wrapping_keys:
        try:
            private = AESGCM(wrapping_key).decrypt(
                sealed[:_GCM_NONCE_BYTES], sealed[_GCM_NONCE_BYTES:], _bound(described)
            )
        except InvalidTag:
            continue
        jwk = import_jwk(json.loads(private))
        return SigningKey(described["kid"], described["alg"], described["created_at"], described["signs_from"], jwk)
    return None


def algorithm_of(record: str) -> str:
    """The algorithm of a record's key, readable without the secret."""
    return str(json.loads(record)["alg"])


def _bound(described: Mapping[str, Any]) -> bytes:
    return json.dumps(described, sort_keys=True).encode()


def import_jwk(jwk: Mapping[str, Any]) -> Key:
    """Parse a JWK (RFC 7517). Raises ValueError for a type that can't sign access tokens."""
    if jwk.get("kty") not in _KEY_CLASSES:
        raise ValueError("unknown key type")
    key: Key = _KEY_CLASSES[jwk["kty"]].import_key(dict(jwk))
    return key


@dataclass(frozen=True)
class KeyRing:
    """All signing keys still in use, ordered by when they begin to sign."""

    keys: tuple[SigningKey, ...] = ()

    @classmethod
    def of(cls, keys: Sequence[SigningKey]) -> "KeyRing":
        """The ring of these keys, in any order."""
        return cls(tuple(sorted(keys, key=lambda key: (key.signs_from, key.kid))))

    def signer(self, now: float) -> SigningKey:
        """The key that signs at `now` (seconds, UTC): the newest whose time has come, or else the first."""
        started = [key for key in self.keys if key.signs_from <= now]
        return started[-1] if started else self.keys[0]

    def states(self, now: float) -> list[tuple[SigningKey, str]]:
        """Each key, and what it is used for at `now` (seconds, UTC): it "signs", is "published", or "checks"."""
        signer = self.signer(now) if self.keys else None
        return [
            (key, "signs" if key is signer else "published" if key.signs_from > now else "checks") for key in self.keys
        ]

    def dropped(self, now: float, policy: Policy) -> tuple[SigningKey, ...]:
        """The keys whose last token has expired: a key signs until its successor does."""
        last_token = policy.access_ttl + policy.clock_skew
        return tuple(
            key
            for key, successor in zip(self.keys, self.keys[1:], strict=False)
            if successor.signs_from + last_token + policy.signing_key_prepublish < now
        )

    def successor_due(self, now: float, policy: Policy, algorithm: str) -> float | None:
        """When a key made now would begin to sign (seconds, UTC), or None if no new key is due."""
        if not self.keys:
            return now
        newest = self.keys[-1]
        ages_at = newest.signs_from + policy.signing_key_ttl
        if newest.algorithm != algorithm:
            return now + policy.signing_key_prepublish
        if now >= ages_at - policy.signing_key_prepublish:
            return max(ages_at, now + policy.signing_key_prepublish)
        return None

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set (RFC 7517 section 5). It leaves out symmetric keys."""
        return {"keys": [key.public() for key in self.keys if key.algorithm != "HS256"]}
