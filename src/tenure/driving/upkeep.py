"""Upkeep: what an instance does in the background: follow revocations, maintain the ring of signing keys.

These are flows like the others, run by `sessions.py` at the start and then at intervals. No request waits for them.
"""

from tenure.core.calls import DeleteRecord, GetRecord, ListRecords, Purge, PutRecord, RevokedSince
from tenure.core.effects import Flow, call
from tenure.core.errors import ConfigurationError
from tenure.core.existing import REVOCATION_LOST, end_session
from tenure.core.issuer import Issuer
from tenure.core.keys import KeyRing, SigningKey, algorithm_of, generate_signing_key, unwrap, wrap
from tenure.core.policy import DAY

_KIND = "signing_key"
_DEPLOYMENT, _COMPANIONS_SINCE = "deployment", "companions_since"
_COMPANION_GRACE = DAY
"""How long instances of the version before may still begin sessions without a companion."""

Records = tuple[tuple[str, str], ...]


def follow_revocations(issuer: Issuer, position: int) -> Flow[int]:
    """Read what was revoked after `position` in the store's feed. Returns the new position."""
    news = yield from call(RevokedSince(position))
    for session_id, revoked_at in news.revoked:
        issuer.heard_revoked(session_id, revoked_at)
    issuer.checker.forget_expired()
    return news.position


def repeat_revocations(issuer: Issuer) -> Flow[None]:
    """If the store may have lost writes, end again all sessions whose end this instance has heard of lately."""
    if issuer.doubts_store:
        for session_id in issuer.checker.revoked():
            yield from end_session(issuer, session_id, reason=REVOCATION_LOST, by="policy")
        issuer.doubts_store = False


def end_unanswered(issuer: Issuer) -> Flow[None]:
    """End the sessions of logins that failed because the store did not say whether it had made them."""
    for session_id in list(issuer.unanswered):
        yield from end_session(issuer, session_id, reason="login_unanswered", by="policy")
        issuer.unanswered.discard(session_id)


def load_companions(issuer: Issuer) -> Flow[None]:
    """Load the moment from which this deployment's sessions have companion cookies, and record it the first time.

    A deployment that already has signing keys has older sessions without companions. Call this before `keep_ring`.
    """
    since = yield from call(GetRecord(_DEPLOYMENT, _COMPANIONS_SINCE))
    if since is None:
        existing = yield from call(ListRecords(_KIND))
        begins = issuer.now() + _COMPANION_GRACE if existing else 0.0
        yield from call(PutRecord(_DEPLOYMENT, _COMPANIONS_SINCE, repr(begins)))
        since = yield from call(GetRecord(_DEPLOYMENT, _COMPANIONS_SINCE))
    issuer.companions_since = float(since or 0.0)


def load_ring(issuer: Issuer) -> Flow[Records]:
    """Use the signing keys that are in the store. Returns their records."""
    records = yield from call(ListRecords(_KIND))
    if records != issuer.ring_records:
        issuer.use_ring(KeyRing.of(list(_unwrapped(issuer, records).values())), records)
    return records


def keep_ring(issuer: Issuer) -> Flow[None]:
    """Load the store's signing keys, make the next one when it is due, and drop keys whose tokens have all expired."""
    now = issuer.now()
    records = yield from load_ring(issuer)
    signs_from = issuer.ring.successor_due(now, issuer.policy, issuer.algorithm)
    dropped = [key.kid for key in issuer.ring.dropped(now, issuer.policy)]
    if signs_from is None and not dropped:
        return
    if signs_from is not None:
        yield from _add_key(issuer, records, issuer.algorithm, signs_from)
    for name, key in _unwrapped(issuer, records).items():
        if key.kid in dropped:
            yield from call(DeleteRecord(_KIND, name))
    yield from load_ring(issuer)


def rotate_ring(issuer: Issuer, *, at_once: bool = False) -> Flow[SigningKey]:
    """Make a new signing key, of the newest one's algorithm.

    It begins to sign once it has been published long enough. With `at_once`, for a key that leaked, it signs from now
    on and all others are dropped; clients then refresh the refused access tokens.
    """
    records = yield from call(ListRecords(_KIND))
    signs_from = issuer.now() + (0 if at_once else issuer.policy.signing_key_prepublish)
    algorithm = algorithm_of(records[-1][1]) if records else issuer.algorithm
    made = yield from _add_key(issuer, records, algorithm, signs_from)
    if at_once:
        for name, _ in records:
            yield from call(DeleteRecord(_KIND, name))
    return made


def _add_key(issuer: Issuer, records: Records, algorithm: str, signs_from: float) -> Flow[SigningKey]:
    """Store a new key under the next number. If two instances do so at once, one of them finds it taken."""
    key = generate_signing_key(algorithm, issuer.now(), signs_from)
    number = int(records[-1][0]) + 1 if records else 1
    yield from call(PutRecord(_KIND, f"{number:09d}", wrap(key, issuer.keys.wrap, issuer.random)))
    return key


def _unwrapped(issuer: Issuer, records: Records) -> dict[str, SigningKey]:
    keys = {}
    for name, record in records:
        key = unwrap(record, issuer.wrapping_keys)
        if key is None:
            raise ConfigurationError(
                "The store's signing keys are encrypted under another secret. Name it in TENURE_SECRET_FALLBACKS "
                "(or fallbacks=), or, if it is lost, make new keys with: tenure keys rotate --at-once"
            )
        keys[name] = key
    return keys


def purge(issuer: Issuer, keep: float, batch: int = 1000) -> Flow[int]:
    """Delete one batch of sessions that ended more than `keep` seconds ago. Returns how many were deleted.

    `keep` is at least an access token's lifetime, so that verifiers hear of every revocation.
    """
    least = issuer.policy.access_ttl + issuer.policy.clock_skew
    return (yield from call(Purge(issuer.now() - max(keep, least), issuer.now(), batch)))
