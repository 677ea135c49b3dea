"""The issuer: a deployment's policy, keys, clock and randomness, and how it makes a pair of tokens.

The flows take it as their first argument. It is their only source of time and randomness.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenure.core.access import Checker, Claims, Signer, VerifyingKey, check_fits
from tenure.core.binding import thumbprint_of
from tenure.core.calls import Audit
from tenure.core.cutoffs import Cutoff
from tenure.core.dpop import Proofs, proven
from tenure.core.errors import ConfigurationError, InvalidAccessToken, InvalidRequest, StoreUnavailable, TenureError
from tenure.core.inputs import check_function, check_setting, shortened
from tenure.core.keys import ALGORITHMS, DerivedKeys, KeyRing
from tenure.core.observations import HeardRevoked, Observer, Refused
from tenure.core.policy import Lifetime, Policy
from tenure.core.session import Authentication, Session
from tenure.core.step_up import Requirement, check_needs
from tenure.core.tokens import NONCE_BYTES

ClaimsSource = Callable[[Session], Mapping[str, Any] | Awaitable[Mapping[str, Any] | None] | None]


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The result of a login or a refresh. Durations are in seconds; the representation leaves the tokens out.

    refresh_expires_in: what remains of the idle or the absolute lifetime, whichever ends first.
    authorization_expires_in: what remains of the absolute one. token_type: "Bearer", or "DPoP" for a token that is
    bound to a key (RFC 9449 section 5). outlives_browser: whether its cookie stays when the browser is closed.
    """

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    session_id: str
    subject: str
    scope: str
    token_type: str = "Bearer"  # noqa: S105 - no secret
    authorization_expires_in: int = 0
    outlives_browser: bool = True


@dataclass(frozen=True, slots=True)
class Draft:
    """The parts of a response that could fail. Made before the write, so that only arithmetic follows it."""

    signer: Signer = field(repr=False)
    nonce: bytes = field(repr=False)
    token_id: str


class Issuer:
    """One deployment: an issuer URL, an audience, a policy, a root secret.

    claims: asked for the application's claims at login and at each refresh. `now` gives seconds, UTC; `random(n)` n
    random bytes.
    """

    def __init__(
        self,
        *,
        url: str,
        audience: str,
        policy: Policy,
        secret: str | bytes,
        fallbacks: Sequence[str | bytes],
        algorithm: str,
        claims: ClaimsSource | None,
        now: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        for what, value in (("issuer", url), ("audience", audience)):
            check_setting(what, value, str, "text")
        if not url or not audience:
            raise ConfigurationError("The issuer and the audience must not be empty.")
        check_setting("policy", policy, Policy, "a tenure.Policy")
        check_setting("fallbacks", fallbacks, (list, tuple), "a list of secrets")
        if claims is not None:
            check_function("claims", claims)
        if algorithm not in ALGORITHMS:
            raise ConfigurationError(f"The algorithm is one of {', '.join(ALGORITHMS)}, not {algorithm!r}.")
        self.url = url
        self.audience = audience
        self.policy = policy
        self.algorithm = algorithm
        self.claims = claims
        self._clock = now
        self.random = random
        self.keys = DerivedKeys.of(secret)
        older = [DerivedKeys.of(fallback) for fallback in fallbacks]
        self.tag_keys = (self.keys.tag, *(keys.tag for keys in older))
        self.mark_keys = (self.keys.mark, *(keys.mark for keys in older))
        self.wrapping_keys = (self.keys.wrap, *(keys.wrap for keys in older))
        self.proofs = Proofs(now, (self.keys.nonce, *(keys.nonce for keys in older)))
        self.checker = Checker(url, audience, now, policy.clock_skew)
        self.ring = KeyRing()
        self.ring_records: tuple[tuple[str, str], ...] = ()
        self.doubts_store = False
        self.unanswered: set[str] = set()
        self.companions_since = 0.0
        self.heard = 0
        self.observe: Observer | None = None
        self._signer: Signer | None = None

    def use_cutoffs(self, cutoffs: Sequence[Cutoff]) -> None:
        """Apply these cutoffs from now on."""
        if tuple(cutoffs) != self.checker.cutoffs:
            self.checker.cutoffs = tuple(cutoffs)
            self.heard += 1

    def lifetime_named(self, name: str) -> Lifetime:
        """The policy's lifetime that a login chooses; "" for the usual one. Raises InvalidRequest for others."""
        if not isinstance(name, str) or (name and name not in self.policy.lifetime_names):
            known = ", ".join(sorted(self.policy.lifetime_names))
            raise InvalidRequest(f"lifetime names one of the policy's: {known}.")
        return self.policy.lifetime(name)

    def is_cut_off(self, session: Session) -> bool:
        """Whether a cutoff has ended this session, even if it is still live in the store."""
        return any(cutoff.ends(session) for cutoff in self.checker.cutoffs)

    def use_ring(self, ring: KeyRing, records: tuple[tuple[str, str], ...]) -> None:
        """Sign and check with the keys of `ring` from now on, as loaded from the store's `records`."""
        self.ring, self.ring_records = ring, records
        self.checker.use_keys({key.kid: VerifyingKey(key.algorithm, key.jwk) for key in ring.keys})

    def now(self) -> float:
        """The time in seconds, UTC, rounded to microseconds, which stores keep exactly."""
        return round(self._clock(), 6)

    def audit(self, now: float, address: str) -> Audit | None:
        """The audit entry for a change at `now`, requested from `address`; None if no trail is kept."""
        ttl = self.policy.audit_ttl
        return Audit(shortened(address), now + ttl) if ttl else None

    def verified(
        self,
        access_token: str,
        *,
        proof: str | None = None,
        method: str = "",
        urls: Collection[str] = (),
        needs: Requirement | None = None,
    ) -> Claims:
        """The claims of a valid access token. Raises InvalidAccessToken for any other, and tells the observer.

        proof, method, urls: the DPoP proof that came with it, and what request it is to be for. needs: how its user has
        to be authenticated.
        """
        try:
            claims = proven(self.checker.check(access_token), access_token, self.proofs, proof, method, urls)
            check_needs(needs, claims, self.now())
        except InvalidAccessToken as problem:
            self.refused(problem)
            raise
        return claims

    def refused(self, problem: TenureError) -> None:
        """Tell the observer about a refused request."""
        if self.observe is not None:
            self.observe(Refused(problem.code, problem.reason))

    def heard_revoked(self, session_id: str, revoked_at: float) -> None:
        """Refuse the access tokens of a revoked session until the last of them has expired."""
        self.heard += 1
        if self.observe is not None:
            self.observe(HeardRevoked(max(0.0, self.now() - revoked_at)))
        self.checker.revoke(session_id, revoked_at + self.policy.access_ttl + self.policy.clock_skew)

    def draft(self, now: float) -> Draft:
        """The parts of a response at `now` that could fail. Raises StoreUnavailable if no signing key is loaded."""
        if not self.ring.keys:
            raise StoreUnavailable("The signing keys are not loaded yet. Try again shortly.")
        key = self.ring.signer(now)
        if self._signer is None or self._signer.key is not key:
            self._signer = Signer(key)
        random = self.random(NONCE_BYTES + 16)
        return Draft(self._signer, random[:NONCE_BYTES], random[NONCE_BYTES:].hex())

    def check_fits(self, session: Session, claims: Mapping[str, Any]) -> None:
        """Raise ConfigurationError for claims that make the access token too long to send."""
        check_fits(self._payload(session, claims, session.scope, self.now(), "0" * 32))

    def pair(
        self,
        draft: Draft,
        session: Session,
        claims: Mapping[str, Any],
        refresh_token: str,
        now: float,
        scope: str | None = None,
    ) -> TokenPair:
        """A signed access token for `session` (RFC 9068 section 2.2), together with `refresh_token`.

        The access token never outlives the session's absolute lifetime. `scope` narrows the granted one.
        """
        granted = session.scope if scope is None else scope
        payload = self._payload(session, claims, granted, now, draft.token_id)
        return TokenPair(
            access_token=draft.signer.sign(payload),
            expires_in=max(0, payload["exp"] - payload["iat"]),
            refresh_token=refresh_token,
            refresh_expires_in=max(0, int(session.expires_at - now)),
            authorization_expires_in=max(0, int(session.ends_at - now)),
            outlives_browser=self.policy.lifetime(session.lifetime).outlives_browser,
            session_id=session.id,
            subject=session.subject,
            scope=granted,
            token_type="Bearer" if thumbprint_of(session.binding) is None else "DPoP",
        )

    def _payload(
        self, session: Session, claims: Mapping[str, Any], granted: str, now: float, token_id: str
    ) -> dict[str, Any]:
        issued_at = int(now)
        payload = {
            **claims,
            "iss": self.url,
            "sub": session.subject,
            "aud": self.audience,
            "exp": min(issued_at + int(self.policy.access_ttl), int(session.ends_at)),
            "iat": issued_at,
            "jti": token_id,
            "client_id": session.client_id,
            "sid": session.id,
            "auth_time": int(session.authenticated_at),
        }
        if granted:
            payload["scope"] = granted
        thumbprint = thumbprint_of(session.binding)
        if thumbprint is not None:
            payload["cnf"] = {"jkt": thumbprint}
        if session.authentication is not None:
            payload.update(_how(session.authentication))
            if payload["auth_time"] != int(session.created_at):
                payload["began"] = int(session.created_at)  # which a cutoff goes by
        return payload


def _how(authentication: Authentication) -> dict[str, Any]:
    """The claims that say how a user was authenticated (OpenID Connect Core section 2), as far as it is known."""
    claims: dict[str, Any] = {}
    if authentication.acr is not None:
        claims["acr"] = authentication.acr
    if authentication.amr:
        claims["amr"] = list(authentication.amr)
    return claims
