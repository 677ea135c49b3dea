"""DPoP proofs (RFC 9449): what shows that whoever sends a token also holds the key that it is bound to.

A proof is a JWT that the client makes for one request and signs with its key. It names the method and the address of
the request, the moment, and, at a resource, the access token; at the token endpoints also a nonce of the server's.

Nonces are stateless: a keyed hash over a time step, the last two of which are accepted by every instance. Proofs that
were seen are remembered, in bounded memory, until they are too old anyway.
"""

import base64
import hashlib
import hmac
import re
import struct
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from tenure.core.access import Claims
from tenure.core.errors import InvalidProof, ProofRefused, ProofRequired, UseNonce
from tenure.core.origins import origin_of
from tenure.core.proof_jwt import check_header, json_object, parts_of, public_key
from tenure.core.signatures import Verify

ALGORITHMS = ("ES256", "Ed25519", "EdDSA", "RS256")
"""What a proof may be signed with: as access tokens, but never by a shared key."""

TYPE = "dpop+jwt"
WINDOW_SECONDS = 60.0
NONCE_SECONDS = 300
REMEMBERED = 100_000
_KNOWN_KEYS = 1000
_JTI_CHARS = 512
_NONCE = struct.Struct(">I12s")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Proofs:
    """Checks proofs. now: the clock, in seconds, UTC. nonce_keys: the first one makes nonces, each of them checks."""

    def __init__(self, now: Callable[[], float], nonce_keys: Sequence[bytes] = ()) -> None:
        self._now = now
        self._nonce_keys = nonce_keys
        self._seen: dict[float, OrderedDict[bytes, float]] = {}
        self._keys: OrderedDict[str, tuple[str, Verify]] = OrderedDict()

    def nonce(self) -> str:
        """A nonce that the next proofs may carry: for five minutes at least, for ten at most (RFC 9449 section 8)."""
        return _nonce(int(self._now()) // NONCE_SECONDS, self._nonce_keys[0])

    def check(
        self,
        proof: str,
        *,
        method: str,
        urls: Collection[str],
        access_token: str | None = None,
        with_nonce: bool = False,
    ) -> str:
        """The thumbprint of the key that made a proof for this request (RFC 9449 section 4.3).

        urls: the addresses by which the client may know the resource. access_token: the token that comes with it, at a
        resource. with_nonce: require a nonce of ours. Raises InvalidProof, and UseNonce.
        """
        header, payload, signature, signing_input = parts_of(proof, "DPoP")
        thumbprint, verify = self._key(header)
        claims = json_object(payload, "payload of the DPoP proof")
        now = self._now()
        _check_request(claims, method, urls)
        if access_token is not None and not _same(claims.get("ath"), _hash(access_token)):
            raise InvalidProof("The proof is not for this access token (ath).", "ath")
        if with_nonce and not self._is_nonce(claims.get("nonce"), now):
            raise UseNonce(self.nonce())
        # A nonce shows when a proof was made, whatever the device's clock says (section 11.1).
        if not with_nonce and not abs(now - claims["iat"]) <= WINDOW_SECONDS:
            raise InvalidProof(
                f"The proof's iat is more than {WINDOW_SECONDS:g} seconds off. Check the device's clock.", "iat"
            )
        if not verify(signing_input, signature):
            raise InvalidProof("The proof's signature is wrong.", "signature")
        self.once(thumbprint, claims["jti"], 2.0 * (NONCE_SECONDS if with_nonce else WINDOW_SECONDS))
        return thumbprint

    def _key(self, segment: str) -> tuple[str, Verify]:
        """The key in a header, which is the same for all proofs of a client: checked once."""
        known = self._keys.get(segment)
        if known is None:
            known = self._keys[segment] = _key_of(segment)
            if len(self._keys) > _KNOWN_KEYS:
                self._keys.popitem(last=False)
        return known

    def _is_nonce(self, nonce: object, now: float) -> bool:
        step = int(now) // NONCE_SECONDS
        accepted = (_nonce(one, key) for one in (step, step - 1) for key in self._nonce_keys)
        return isinstance(nonce, str) and any(_same(nonce, one) for one in accepted)

    def once(self, key: str, jti: str, seconds: float) -> None:
        """Raise InvalidProof for a proof that was seen before; remember this one for as long as it would be good.

        key: names the key that made it. seconds: for how long.
        """
        now = self._now()
        seen = self._seen.setdefault(seconds, OrderedDict())
        while seen and (len(seen) >= REMEMBERED or next(iter(seen.values())) <= now):
            seen.popitem(last=False)
        name = hashlib.sha256(f"{key} {jti}".encode("utf-8", "surrogatepass")).digest()[:16]
        if name in seen:
            raise InvalidProof("The proof was used before (jti). Make a new one for each request.", "replayed")
        seen[name] = now + seconds


def _check_request(claims: Mapping[str, Any], method: str, urls: Collection[str]) -> None:
    jti, issued_at, url = claims.get("jti"), claims.get("iat"), claims.get("htu")
    if not isinstance(jti, str) or not 0 < len(jti) <= _JTI_CHARS:
        raise InvalidProof(f"The proof's jti is text of 1 to {_JTI_CHARS} characters.", "jti")
    if claims.get("htm") != method:
        raise InvalidProof(f"The proof is not for the method {method} (htm).", "htm")
    if not isinstance(url, str) or _normal(url) not in map(_normal, urls):
        raise InvalidProof(f"The proof is not for this address (htu): {' or '.join(sorted(urls))}.", "htu")
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        raise InvalidProof("The proof's iat is a number of seconds.", "iat")


def proven(
    claims: Claims, access_token: str, proofs: Proofs, proof: str | None, method: str, urls: Collection[str]
) -> Claims:
    """Claims, once a proof of the key that their token is bound to was checked, if it is bound to one.

    Raises ProofRequired (RFC 9449 section 7.1).
    """
    if claims.thumbprint is None and proof is not None:
        raise ProofRefused("The access token is not bound to a key: send it as Authorization: Bearer.", "unbound")
    if claims.thumbprint is not None:
        if proof is None:
            raise ProofRequired
        try:
            thumbprint = proofs.check(proof, method=method, urls=urls, access_token=access_token)
        except InvalidProof as problem:
            raise ProofRefused(str(problem), problem.reason) from None
        if thumbprint != claims.thumbprint:
            raise ProofRefused("The proof is of another key than the one that the access token is bound to.", "key")
    return claims


def _key_of(segment: str) -> tuple[str, Verify]:
    header = json_object(segment, "header of the DPoP proof")
    key = public_key(header.get("jwk"), check_header(header, TYPE, ALGORITHMS))
    return key.thumbprint, key.verify


@lru_cache(maxsize=1000)
def _normal(url: str) -> str:
    """A URL without query and fragment, as RFC 3986 sections 6.2.2 and 6.2.3 normalize it; "" if it is none."""
    try:
        origin, path = origin_of(url), urlsplit(url).path
    except ValueError:
        return ""
    return origin.lower() + (re.sub("%[0-9A-Fa-f]{2}", _unescaped, path) or "/")


def _unescaped(escape: "re.Match[str]") -> str:
    character = chr(int(escape[0][1:], 16))
    return character if character in _UNRESERVED else escape[0].upper()


@lru_cache(maxsize=16)
def _nonce(step: int, key: bytes) -> str:
    tag = hmac.digest(key, b"dpop nonce %d" % step, "sha256")[:12]
    return base64.urlsafe_b64encode(_NONCE.pack(step, tag)).decode().rstrip("=")


def _hash(access_token: str) -> str:
    digest = hashlib.sha256(access_token.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _same(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
