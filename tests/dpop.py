"""A client's key, and the proofs that it makes (RFC 9449), independent of the code that checks them."""

import base64
import hashlib
import json
import uuid
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def number(value: int, length: int = 32) -> str:
    return b64(value.to_bytes(length, "big"))


class Key:
    """A key pair. algorithm: ES256, Ed25519, EdDSA or RS256."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.algorithm = algorithm
        self._private: Any
        if algorithm == "ES256":
            self._private = ec.generate_private_key(ec.SECP256R1())
            public = self._private.public_key().public_numbers()
            self.jwk = {"kty": "EC", "crv": "P-256", "x": number(public.x), "y": number(public.y)}
            self.d = number(self._private.private_numbers().private_value)
        elif algorithm == "RS256":
            self._private = rsa.generate_private_key(65537, 2048)
            public = self._private.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "n": number(public.n, 256), "e": "AQAB"}
        else:
            self._private = ed25519.Ed25519PrivateKey.generate()
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(self._private.public_key().public_bytes_raw())}

    @property
    def thumbprint(self) -> str:
        members = {name: self.jwk[name] for name in sorted(self.jwk)}
        return b64(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest())

    def sign(self, message: bytes) -> bytes:
        if self.algorithm == "ES256":
            r, s = decode_dss_signature(self._private.sign(message, ec.ECDSA(SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        if self.algorithm == "RS256":
            signed: bytes = self._private.sign(message, padding.PKCS1v15(), SHA256())
            return signed
        plain: bytes = self._private.sign(message)
        return plain

    def proof(
        self,
        method: str,
        url: str,
        now: float,
        *,
        nonce: str | None = None,
        access_token: str | None = None,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A proof; `header` and `claims` change or, with None, leave out what would be in it."""
        said = {"jti": str(uuid.uuid4()), "htm": method, "htu": url, "iat": int(now), "nonce": nonce}
        if access_token is not None:
            said["ath"] = b64(hashlib.sha256(access_token.encode()).digest())
        named = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk}
        return self.jws({**named, **(header or {})}, {**said, **claims})

    def jws(self, header: dict[str, Any], payload: Any) -> str:
        parts = [_without_none(header), _without_none(payload)]
        signing_input = ".".join(b64(json.dumps(part).encode()) for part in parts)
        return f"{signing_input}.{b64(self.sign(signing_input.encode()))}"


def _without_none(part: Any) -> Any:
    return {name: value for name, value in part.items() if value is not None} if isinstance(part, dict) else part
