"""The key that a session is bound to, and the proofs that it signs (DPoP, RFC 9449).

The key is made once for each name in a storage, and never leaves it: servers see its public half in each proof. A file
of credentials keeps its key in another file beside it, so that a copy of the first alone is worth nothing.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tenure.client.errors import StorageFailed
from tenure.client.storage import Storage
from tenure.core.origins import origin_of

PREFIX = "key "
HEADER = "dpop"
_ECDSA = ECDSA(SHA256())
_MAX_NONCES = 100


class Prover:
    """Makes proofs. The key is in `storage`, under `name`; it is made at its first use. clock: in seconds, UTC.

    Raises StorageFailed where the key can't be read, or kept.
    """

    def __init__(self, storage: Storage, name: str, clock: Callable[[], float]) -> None:
        beside = getattr(storage, "for_keys", None)
        self._storage: Storage = storage if beside is None else beside()
        self._name = PREFIX + name
        self._clock = clock
        self._key: EllipticCurvePrivateKey | None = None
        self._header = ""
        self._nonces: dict[str, str] = {}

    def proof(self, method: str, url: str, access_token: str | None = None, skew: float = 0.0) -> str:
        """A proof for one request. access_token: the token that goes with it, at a resource. skew: how many seconds the
        issuer's clock is ahead of this device's."""
        key = self._loaded()
        said: dict[str, Any] = {
            "jti": secrets.token_urlsafe(18),
            "htm": method,
            "htu": url.partition("#")[0].partition("?")[0],
            "iat": int(self._clock() + skew),
        }
        if (nonce := self._nonces.get(origin_of(url))) is not None:
            said["nonce"] = nonce
        if access_token is not None:
            said["ath"] = _text(hashlib.sha256(access_token.encode()).digest())
        signed = f"{self._header}.{_text(json.dumps(said).encode())}"
        r, s = decode_dss_signature(key.sign(signed.encode(), _ECDSA))
        return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def learn(self, url: str, headers: Mapping[str, str]) -> None:
        """Keep the nonce of a response for the next proofs (RFC 9449 section 8.2)."""
        nonce = headers.get("dpop-nonce")
        if nonce:
            self._nonces[origin_of(url)] = nonce
            while len(self._nonces) > _MAX_NONCES:
                self._nonces.pop(next(iter(self._nonces)))

    def _loaded(self) -> EllipticCurvePrivateKey:
        key = self._key
        if key is None:
            text = self._storage.load(self._name)
            if text is None:
                made = _written(generate_private_key(SECP256R1()))
                text = made if self._storage.swap(self._name, None, made) else self._storage.load(self._name)
            key = _read(text or "", self._name)
            self._header = _header_of(key)
            self._key = key
        return key


def _header_of(key: EllipticCurvePrivateKey) -> str:
    """The header of all proofs by this key."""
    numbers = key.public_key().public_numbers()
    x, y = (_text(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    return _text(json.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}).encode())


def asks_for_nonce(status: int, headers: Mapping[str, str], content: bytes = b"") -> bool:
    """Whether a response asks for the same request with a nonce (RFC 9449 sections 8 and 9)."""
    challenge = headers.get("www-authenticate", "")
    return (
        status in (400, 401)
        and bool(headers.get("dpop-nonce"))
        and (b'"use_dpop_nonce"' in content or 'error="use_dpop_nonce"' in challenge)
    )


def _written(key: EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _read(text: str, name: str) -> EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise StorageFailed(f"The key that is kept for {name} is damaged. Remove it, and log in again.")
    return key


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
