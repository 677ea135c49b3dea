"""Reading a JWT that proves that whoever made it holds a key: what DPoP and DBSC have in common.

Such a JWT names its public key itself, or the key is known from before. What it must say is up to the two modules.
"""

import base64
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError

from tenure.core.access import VerifyingKey
from tenure.core.errors import InvalidProof
from tenure.core.keys import import_jwk
from tenure.core.signatures import Verify, verifying

MAX_PROOF_CHARS = 4096
_RSA_BITS = 2048
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_PUBLIC = ("kty", "crv", "x", "y", "n", "e")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: its parts as a JWK (RFC 7517), its thumbprint (RFC 7638), and a check of its signatures."""

    jwk: Mapping[str, str]
    thumbprint: str
    verify: Verify


def parts_of(proof: str, kind: str) -> tuple[str, str, bytes, bytes]:
    """The header and the payload of a JWT as they are spelled, its signature, and what that is over.

    kind: what to call it in errors. Raises InvalidProof.
    """
    if not isinstance(proof, str) or len(proof) > MAX_PROOF_CHARS:
        raise InvalidProof(f"A {kind} proof is text of at most {MAX_PROOF_CHARS} characters.", "malformed")
    if "," in proof:
        raise InvalidProof(f"There is more than one {kind} proof in the request.", "malformed")
    try:
        header, payload, signature = proof.split(".")
        return header, payload, _decoded(signature), f"{header}.{payload}".encode("ascii")
    except ValueError:
        raise InvalidProof(f"The {kind} proof is not a JWT.", "malformed") from None


def json_object(segment: str, what: str) -> Mapping[str, Any]:
    """The object that a segment of a JWT spells. what: its name in errors. Raises InvalidProof."""
    try:
        content = json.loads(_decoded(segment))
    except (ValueError, RecursionError):
        raise InvalidProof(f"The {what} is not JSON.", "malformed") from None
    if not isinstance(content, dict):
        raise InvalidProof(f"The {what} is not an object.", "malformed")
    return content


def check_header(header: Mapping[str, Any], type_: str, algorithms: Collection[str]) -> str:
    """The algorithm of a proof. Raises InvalidProof for another type or algorithm, and for extensions."""
    if header.get("typ") != type_:
        raise InvalidProof(f"The proof's type (typ) is not {type_}.", "typ")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        *others, last = algorithms
        raise InvalidProof(f"A proof is signed with {', '.join(others)} or {last} (alg).", "alg")
    if "crit" in header:
        raise InvalidProof("The proof requires unsupported extensions (crit).", "crit")
    return algorithm


def public_key(jwk: object, algorithm: str) -> PublicKey:
    """The public key that a proof names. Raises InvalidProof, also if it is a private one."""
    if not isinstance(jwk, dict) or not all(isinstance(value, str | list | bool) for value in jwk.values()):
        raise InvalidProof("The proof lacks its public key (jwk).", "jwk")
    if any(name in jwk for name in _PRIVATE):
        raise InvalidProof("The proof has a private key in it (jwk). That key must not be used any more.", "jwk")
    name = "Ed25519" if algorithm == "EdDSA" else algorithm
    try:
        public = {part: jwk[part] for part in _PUBLIC if part in jwk}
        if name == "RS256" and len(_decoded(jwk["n"])) * 8 < _RSA_BITS:
            raise InvalidProof(f"An RSA key of a proof has {_RSA_BITS} bits or more.", "jwk")
        key = import_jwk(public)
        VerifyingKey(name, key)
        return PublicKey(public, key.thumbprint(), verifying(name, key))
    except (ValueError, TypeError, KeyError, JoseError):
        raise InvalidProof("The proof's public key (jwk) does not fit its algorithm.", "jwk") from None


def _decoded(segment: str) -> bytes:
    if not re.fullmatch("[A-Za-z0-9_-]+", segment):
        raise ValueError("no base64url")
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
