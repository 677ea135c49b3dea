"""The Verifier, for services that know only the URL of the issuer's public keys.

It caches the keys, and fetches them again when a token names an unknown one. The rate of fetches is bounded, so that
made-up key ids can't flood the issuer with requests.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from joserfc.errors import JoseError

from tenure.core.access import Checker, Claims, UnknownKey, VerifyingKey, names_of
from tenure.core.dpop import Proofs, proven
from tenure.core.errors import ConfigurationError, StoreUnavailable
from tenure.core.forking import Forking, survive_forks
from tenure.core.inputs import check_function, check_seconds, check_setting
from tenure.core.keys import import_jwk
from tenure.core.origins import is_loopback
from tenure.core.step_up import Requirement, check_needs
from tenure.verifying.revocation_feed import RevocationFeed

_JWKS_PATH, _FEED_PATH = "/.well-known/jwks.json", "/auth/revoked"
_MAX_JWKS_BYTES = 256 * 1024
_ALGORITHM_OF_TYPE = {"EC": "ES256", "OKP": "Ed25519", "RSA": "RS256"}


class Verifier(Forking):
    """Verifies access tokens of one issuer for one audience.

    jwks: the JWK set, or its URL (https, or http on loopback).
    clock_skew: how long after its expiry a token is still accepted, in seconds.
    max_age: keys are fetched again when they are older than this, in seconds.
    min_interval: they are never fetched more often than this, in seconds, whatever tokens come.
    timeout: how long one fetch may take, in seconds.
    revoked: where to follow which sessions were ended, the URL of a service's `/auth/revoked`. By default it is looked
        for beside a JWKS URL that ends in /.well-known/jwks.json; an issuer without a feed is asked once.
    """

    def __init__(
        self,
        jwks: str | Mapping[str, Any],
        issuer: str,
        audience: str,
        *,
        clock_skew: float = 0.0,
        max_age: float = 600.0,
        min_interval: float = 30.0,
        timeout: float = 5.0,
        revoked: str | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, text in (("issuer", issuer), ("audience", audience)):
            check_setting(name, text, str, "text")
        for name, value in (
            ("clock_skew", clock_skew),
            ("max_age", max_age),
            ("min_interval", min_interval),
            ("timeout", timeout),
        ):
            check_seconds(name, value)
        for name, function in (("clock", clock), ("monotonic", monotonic)):
            check_function(name, function)
        check_setting("revoked", "" if revoked is None else revoked, str, "a URL")
        check_setting("jwks", jwks, (str, Mapping), "a JWK set or the URL of one")
        self._clock = clock
        self._proofs = Proofs(clock)
        self._checker = Checker(issuer, audience, clock, clock_skew)
        self._url = jwks if isinstance(jwks, str) else None
        self._max_age, self._min_interval, self._timeout = max_age, min_interval, timeout
        self._monotonic = monotonic
        self._tried_at: float | None = None
        self._fetched_at: float | None = None
        self._lock = threading.Lock()
        if not isinstance(jwks, str):
            self._checker.use_keys(verifying_keys(jwks))
        elif not _safe_to_fetch(jwks):
            raise ConfigurationError("The JWKS URL must be https, or http to this machine.")
        if revoked is None and isinstance(jwks, str) and jwks.endswith(_JWKS_PATH):
            revoked = jwks.removesuffix(_JWKS_PATH) + _FEED_PATH
        if revoked is not None and not _safe_to_fetch(revoked):
            raise ConfigurationError("The feed's URL must be https, or http to this machine.")
        self._feed_url = revoked
        self._feed: RevocationFeed | None = None
        survive_forks(self)

    def after_fork_in_child(self) -> None:
        """The next verification follows the feed in the child; earlier revocations are known."""
        self._lock = threading.Lock()
        self._feed = None

    def verify(
        self,
        token: str,
        *,
        proof: str | None = None,
        method: str = "",
        url: str = "",
        needs: Requirement | None = None,
    ) -> Claims:
        """The claims of a valid access token.

        proof: the DPoP header of a request whose Authorization is of that scheme; method, url: of that request, as the
        client knows it. Without them, a token that is bound to a key is refused (ProofRequired). needs: how its user
        has to be authenticated, recent(…) or acr(…); otherwise InsufficientAuthentication.

        Raises InvalidAccessToken for any other token, and StoreUnavailable if no keys could be fetched at all. The
        calling thread fetches the keys; in asyncio code, make the first call in `asyncio.to_thread`.
        """
        if self._url is not None and self._is_stale():
            self._fetch(self._url)
        if self._feed is None and self._feed_url is not None:
            self._follow(self._feed_url)
        claims = proven(self._check(token), token, self._proofs, proof, method, [url])
        check_needs(needs, claims, self._clock())
        return claims

    def _check(self, token: str) -> Claims:
        try:
            return self._checker.check(token)
        except UnknownKey as unknown:
            if self._url is not None and self._fetch(self._url) and self._checker.knows_key(unknown.kid):
                return self._checker.check(token)
            if self._url is not None and self._fetched_at is None:
                raise StoreUnavailable("The issuer's keys can't be fetched right now.") from None
            raise

    def close(self) -> None:
        """Stop following the feed, until the next verification."""
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()

    def _follow(self, url: str) -> None:
        with self._lock:
            if self._feed is None:
                self._feed = RevocationFeed(url, self._checker)

    def _is_stale(self) -> bool:
        return self._fetched_at is None or self._monotonic() - self._fetched_at > self._max_age

    def _fetch(self, url: str) -> bool:
        with self._lock:
            now = self._monotonic()
            if self._tried_at is not None and now - self._tried_at < self._min_interval:
                return self._fetched_at == self._tried_at
            self._tried_at = now
            try:
                # The scheme was checked when this was made.
                with urllib.request.urlopen(url, timeout=self._timeout) as answer:  # noqa: S310
                    self._checker.use_keys(verifying_keys(json.loads(answer.read(_MAX_JWKS_BYTES))))
            except urllib.error.HTTPError as refused:
                refused.close()
                return False
            except (OSError, ValueError, ConfigurationError):
                return False  # keep the keys we have
            self._fetched_at = now
            return True


def verifying_keys(jwks: Mapping[str, Any]) -> dict[str, VerifyingKey]:
    """The keys of a JWK set (RFC 7517 section 5) that can verify access tokens, by their `kid`.

    Ignores keys of other types or for other uses, and symmetric keys, which do not belong into a public document.
    Raises ConfigurationError if it is not a JWK set.
    """
    if not isinstance(jwks, Mapping) or not isinstance(jwks.get("keys"), list):
        raise ConfigurationError('A JWK set is an object with a list "keys".')
    keys = {}
    for jwk in jwks["keys"]:
        if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig" or not isinstance(jwk.get("kid"), str):
            continue
        algorithm = _ALGORITHM_OF_TYPE.get(str(jwk.get("kty")))
        if algorithm is None or jwk.get("alg", algorithm) not in names_of(algorithm):
            continue
        try:
            keys[jwk["kid"]] = VerifyingKey(algorithm, import_jwk({**jwk, "alg": algorithm}))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return keys


def _safe_to_fetch(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
