"""A session's binding to a key that only its owner's device has.

A bound session is refreshed with a proof of its key, and without one a copied token is worth nothing. A binding is kept
as text, so that the store's compare-and-set can compare it: the kind, and the key's thumbprint (RFC 7638).

    dpop:<thumbprint>    the proof is one by RFC 9449, made for the request

A session is bound once, at login or at a rotation, and never unbound. An unbound token's holder who rotates first binds
the session to their own key; the other's next refresh is then a fork, as ever.
"""

from typing import Literal

_DPOP = "dpop:"


def dpop_binding(thumbprint: str) -> str:
    """The binding to the key of a DPoP proof. thumbprint: base64url of a SHA-256 (RFC 7638)."""
    return _DPOP + thumbprint


def thumbprint_of(binding: str | None) -> str | None:
    """The thumbprint that access tokens of a session carry as `cnf.jkt` (RFC 9449 section 6), or None."""
    return binding.removeprefix(_DPOP) if binding is not None and binding.startswith(_DPOP) else None


def bound_to(binding: str | None) -> Literal["key"] | None:
    """What a session is bound to, in a word for people."""
    return None if binding is None else "key"
