"""A session's binding to a key that only its owner's device has.

A bound session is refreshed with a proof of its key, and without one a copied token is worth nothing. A binding is kept
as text, so that the store's compare-and-set can compare it: the kind, and the key.

    dpop:<thumbprint>    (RFC 7638) the proof is one by RFC 9449, made for the request
    dbsc:<public key>    the proof is a short-lived cookie, which the browser gets only for a signed challenge

A session is bound once, at login, at a rotation, or by a browser's registration, and never unbound. An unbound token's
holder who rotates first binds the session to their own key; the other's next refresh is then a fork, as ever.
"""

from collections.abc import Mapping
from typing import Literal

from joserfc.util import json_b64decode, json_b64encode

Bound = Literal["key", "device"]

REGISTRATION_SECONDS = 60
"""For how long after its login a browser may bind a session to its device."""

_DPOP = "dpop:"
_DBSC = "dbsc:"


def dpop_binding(thumbprint: str) -> str:
    """The binding to the key of a DPoP proof. thumbprint: base64url of a SHA-256 (RFC 7638)."""
    return _DPOP + thumbprint


def thumbprint_of(binding: str | None) -> str | None:
    """The thumbprint that access tokens of a session carry as `cnf.jkt` (RFC 9449 section 6), or None."""
    return binding.removeprefix(_DPOP) if binding is not None and binding.startswith(_DPOP) else None


def device_binding(jwk: Mapping[str, str]) -> str:
    """The binding to a browser's key. jwk: the members of the public key that are required (RFC 7638 section 3.2)."""
    return _DBSC + json_b64encode(dict(sorted(jwk.items()))).decode()


def device_key(binding: str | None) -> Mapping[str, str] | None:
    """The public key of a browser's device, as a JWK, or None for another binding."""
    if binding is None or not binding.startswith(_DBSC):
        return None
    jwk: Mapping[str, str] = json_b64decode(binding.removeprefix(_DBSC).encode())
    return jwk


def bound_to(binding: str | None) -> Bound | None:
    """What a session is bound to, in a word for people: a key that its client keeps, or the browser's device."""
    if binding is None:
        return None
    return "device" if binding.startswith(_DBSC) else "key"
