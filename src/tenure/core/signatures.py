"""The signature of an access token (RFC 7518 section 3), made and checked by the cryptography library itself.

joserfc reads the keys from JWKs. Everything else a signature needs is made once, which halves its time, and avoids an
import during signing, whose lock a fork could inherit.
"""

import hmac
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import Key

Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]

_SHA256 = SHA256()
_ECDSA = ECDSA(_SHA256)
_PKCS1 = PKCS1v15()
_P256_BYTES = 32


def signing(algorithm: str, jwk: Key) -> Sign:
    """A function that signs a message with this key. algorithm: ES256, Ed25519, RS256 or HS256."""
    key: Any = jwk.get_op_key("sign")

    def es256(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, _ECDSA))
        return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")

    signs: dict[str, Sign] = {
        "ES256": es256,
        "Ed25519": lambda message: key.sign(message),
        "RS256": lambda message: key.sign(message, _PKCS1, _SHA256),
        "HS256": lambda message: hmac.digest(key, message, "sha256"),
    }
    return signs[algorithm]


def verifying(algorithm: str, jwk: Key) -> Verify:
    """A function that checks whether a message has this signature by this key."""
    key: Any = jwk.get_op_key("verify")

    def es256(message: bytes, signature: bytes) -> bool:
        if len(signature) != 2 * _P256_BYTES:
            return False
        r, s = (int.from_bytes(half, "big") for half in (signature[:_P256_BYTES], signature[_P256_BYTES:]))
        return _holds(lambda: key.verify(encode_dss_signature(r, s), message, _ECDSA))

    verifies: dict[str, Verify] = {
        "ES256": es256,
        "Ed25519": lambda message, signature: _holds(lambda: key.verify(signature, message)),
        "RS256": lambda message, signature: _holds(lambda: key.verify(signature, message, _PKCS1, _SHA256)),
        "HS256": lambda message, signature: hmac.compare_digest(hmac.digest(key, message, "sha256"), signature),
    }
    return verifies[algorithm]


def _holds(verify: Callable[[], object]) -> bool:
    try:
        verify()
    except InvalidSignature:
        return False
    return True
