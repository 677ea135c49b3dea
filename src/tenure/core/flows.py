"""The flows: login, refresh and revocation, each written once, as a generator that does no I/O.

A flow *yields* the effects it needs (a store call, a question to the application, an event), is sent each result, and
returns its own. `sessions.py` drives flows with a blocking or an asyncio store; tests drive them without one.

A refresh first tries one compare-and-set in the store. Only if that matches nothing, or if the application must be
asked first, does it read the session and ask `judge`.

Everything that can fail comes before the write: questions to the application, the signing key, random numbers. After
the write there is only arithmetic, so no token is used up without a response.
"""

import logging
from collections.abc import Mapping
from typing import Any

from tenure.core.access import application_claims
from tenure.core.calls import Advance, Create, Get, ListAudit, ListSubject, Revoke, RevokeSubject
from tenure.core.cutoffs import REASON as CUTOFF
from tenure.core.effects import Flow, ask, call
from tenure.core.errors import (
    ConfigurationError,
    ForgedToken,
    InvalidGrant,
    InvalidProof,
    InvalidRequest,
    InvalidScope,
    LoginRefused,
    SessionEnded,
    StolenTokenRefused,
    StoreUnavailable,
    WrongClient,
)
from tenure.core.events import Event, Kind
from tenure.core.family import Head, Verdict, judge
from tenure.core.inputs import check_limit, check_scope, check_subject, check_text, hash_of_attempt, shortened
from tenure.core.issuer import Issuer, TokenPair
from tenure.core.session import AuditEntry, Session
from tenure.core.tokens import (
    LAST_GENERATION,
    NONCE_BYTES,
    SESSION_ID_BYTES,
    RefreshToken,
    first_token,
    nonce_hash,
    seal,
    session_id_for,
    unseal,
)

FIRST_PARTY = "first-party"
"""The client id of sessions that belong to the application's own front ends."""

REVOCATION_LOST = "revocation_lost"
"""Why a session is ended that was ended before, after the store has lost that."""

MAX_ENTRIES = 1000
_RACES_BEFORE_GIVING_UP = 8

_log = logging.getLogger("tenure")


def login(
    issuer: Issuer,
    subject: str,
    *,
    claims: Mapping[str, Any],
    device: str,
    client_id: str,
    scope: str,
    address: str = "",
    binding: str | None = None,
) -> Flow[TokenPair]:
    """Begin a session for an authenticated user. address: where the login comes from, if known. binding: the key that
    the request shows, if any.

    Raises InvalidProof if the policy requires a binding, LoginRefused at the limit of sessions, and
    ConfigurationError for claims that no token can carry.
    """
    check_subject(subject)
    check_scope(scope)
    for name, value in (("client_id", client_id), ("address", address)):
        check_text(name, value)
    if issuer.policy.binding == "required" and binding is None:
        raise InvalidProof
    now = issuer.now()
    session_id = session_id_for(subject, issuer.random)
    root = issuer.random(NONCE_BYTES)
    draft = issuer.draft(now)
    session = Session(
        id=session_id.hex(),
        subject=subject,
        client_id=client_id,
        scope=scope,
        claims=application_claims(claims),
        device=shortened(device),
        created_at=now,
        expires_at=now + issuer.policy.idle_ttl,
        ends_at=now + issuer.policy.absolute_ttl,
        head=Head(0, nonce_hash(session_id, root), None, now),
        binding=None if issuer.policy.binding == "off" else binding,
    )
    issuer.check_fits(session, session.claims)
    current = yield from _current_claims(issuer, session)
    if current is None:
        raise LoginRefused("The account no longer exists.")
    policy = issuer.policy
    try:
        ended = yield from call(
            Create(session, policy.max_sessions, policy.at_limit == "end_oldest", issuer.audit(now, address))
        )
    except StoreUnavailable:
        issuer.unanswered.add(session.id)  # it may exist, but nobody will hold its token: upkeep ends it
        raise
    if ended is None:
        raise LoginRefused(f"The account has {policy.max_sessions} sessions already. End one of them first.")
    for other in ended:
        issuer.heard_revoked(other, now)
        yield Event("revoked", now, other, subject, reason="session_limit", by="policy", address=address or None)
    yield _event("logged_in", now, session, address=address or None)
    token = first_token(session_id, root, draft.nonce)
    return issuer.pair(draft, session, current, seal(token, issuer.keys.tag), now)


def refresh(
    issuer: Issuer,
    text: str,
    *,
    attempt: str | None = None,
    client_id: str = FIRST_PARTY,
    scope: str | None = None,
    address: str = "",
    binding: str | None = None,
) -> Flow[TokenPair]:
    """Exchange a refresh token for a new pair. The presented token becomes the head of its family.

    attempt: the attempt key, the same for each try of one refresh. client_id: the client that presents the token.
    scope: a subset of the granted scope, for this access token only (RFC 6749 section 6). address: where the request
    comes from.

    Raises ForgedToken, WrongClient, InvalidScope, SessionEnded with the reason, and ApplicationFailed, with nothing
    changed, if the application could not be asked.
    """
    token = yield from genuine(issuer, text)
    return (
        yield from exchange(
            issuer, token, attempt=attempt, client_id=client_id, scope=scope, address=address, binding=binding
        )
    )


def exchange(
    issuer: Issuer,
    token: RefreshToken,
    *,
    attempt: str | None = None,
    client_id: str = FIRST_PARTY,
    scope: str | None = None,
    address: str = "",
    binding: str | None = None,
) -> Flow[TokenPair]:
    """Like `refresh`, for a genuine token that has been parsed."""
    attempt_hash = hash_of_attempt(attempt)
    if scope is not None:
        check_text("scope", scope)
    check_text("client_id", client_id)
    check_text("address", address)
    now = issuer.now()
    if token.generation >= LAST_GENERATION:
        raise SessionEnded("expired")
    draft = issuer.draft(now)
    session = None
    if scope is None and issuer.claims is None and not issuer.checker.is_revoked(token.session_id.hex()):
        session = yield from call(_move(issuer, token, attempt_hash, client_id, now, None, (binding, binding)))
    if session is None or issuer.is_cut_off(session):
        verdict, session, claims = yield from _judge_and_move(
            issuer, token, attempt_hash, client_id, scope, now, address, binding
        )
    else:
        verdict, claims = Verdict.ROTATE, session.claims
    yield _event(_ANSWERED[verdict], now, session, generation=token.generation)
    child = token.child(draft.nonce)
    return issuer.pair(draft, session, claims, seal(child, issuer.keys.tag), now, scope)


_ANSWERED: dict[Verdict, Kind] = {
    Verdict.ROTATE: "refreshed",
    Verdict.RETRY: "retried",
    Verdict.ROLLBACK: "rolled_back",
}


def _judge_and_move(
    issuer: Issuer,
    token: RefreshToken,
    attempt_hash: bytes | None,
    client_id: str,
    scope: str | None,
    now: float,
    address: str,
    binding: str | None,
) -> Flow[tuple[Verdict, Session, Mapping[str, Any]]]:
    """Read the session, judge the token, ask for the claims and move the head; retry if another refresh moved it
    meanwhile.

    Returns the verdict, the updated session, and the claims.
    """
    for _ in range(_RACES_BEFORE_GIVING_UP):
        session = yield from _presentable(token, client_id, now)
        yield from _check_binding(issuer, session, binding, now, address)
        if scope is not None and not set(scope.split()) <= set(session.scope.split()):
            raise InvalidScope
        verdict = judge(
            session.head,
            token,
            attempt_hash,
            now,
            issuer.policy.leeway,
            believe_tag=issuer.policy.rollback == "tag",
        )
        if verdict is Verdict.REUSE:
            yield _event("reuse_detected", now, session, generation=token.generation, address=address or None)
            yield from end_session(issuer, session.id, reason="reuse_detected", by="policy", address=address)
            raise SessionEnded("reuse_detected")
        if verdict is Verdict.REFUSE:
            raise SessionEnded("unknown")
        if issuer.checker.is_revoked(session.id):
            # This instance knows that the session was ended, so a failover has lost that write.
            issuer.doubts_store = True
            yield from end_session(issuer, session.id, reason=REVOCATION_LOST, by="policy")
            raise SessionEnded("revoked")
        if issuer.is_cut_off(session):
            yield from end_session(issuer, session.id, reason=CUTOFF, by="policy", address=address)
            raise SessionEnded("revoked")
        claims = yield from _current_claims(issuer, session)
        if claims is None:
            yield from end_session(issuer, session.id, reason="account_gone", by="application", address=address)
            raise SessionEnded("revoked")
        if verdict is Verdict.RETRY:
            return verdict, session, claims
        if verdict is Verdict.ROLLBACK:
            issuer.doubts_store = True
        bindings = session.binding, session.binding or (None if issuer.policy.binding == "off" else binding)
        moved = yield from call(_move(issuer, token, attempt_hash, client_id, now, session.head, bindings))
        if moved is not None:
            return verdict, moved, claims
    raise StoreUnavailable("Too many refreshes of this session at once. Try again shortly.")


def _presentable(token: RefreshToken, client_id: str, now: float) -> Flow[Session]:
    session = yield from call(Get(token.session_id.hex()))
    if session is None:
        raise SessionEnded("unknown")
    if session.client_id != client_id:
        raise WrongClient
    if session.revoked_at is not None:
        raise SessionEnded("reuse_detected" if session.revoked_reason == "reuse_detected" else "revoked")
    if not session.is_live(now):
        yield _event("expired", now, session, generation=token.generation)
        raise SessionEnded("expired")
    return session


def _check_binding(issuer: Issuer, session: Session, binding: str | None, now: float, address: str) -> Flow[None]:
    """Refuse a token of a bound session without its key, whatever its place in the family: it was copied."""
    if session.binding is None:
        if issuer.policy.binding == "required" and binding is None:
            raise InvalidProof
    elif session.binding != binding:
        yield _event("stolen_token_refused", now, session, address=address or None)
        if issuer.policy.at_missing_proof == "end_session":
            yield from end_session(issuer, session.id, reason="stolen_token", by="policy", address=address)
        raise StolenTokenRefused


def _move(
    issuer: Issuer,
    token: RefreshToken,
    attempt_hash: bytes | None,
    client_id: str,
    now: float,
    expected: Head | None,
    bindings: tuple[str | None, str | None],
) -> Advance:
    """The compare-and-set that makes `token` the head, in place of `expected`, or of its parent. bindings: the expected
    one, and the one that takes its place."""
    head = Head(token.generation, nonce_hash(token.session_id, token.nonce), attempt_hash, now)
    if expected is None:
        generation, expected_hash = token.generation - 1, nonce_hash(token.session_id, token.parent)
    else:
        generation, expected_hash = expected.generation, expected.nonce_hash
    deadline = now + issuer.policy.idle_ttl
    return Advance(token.session_id.hex(), client_id, generation, expected_hash, head, deadline, *bindings)


def end_session(issuer: Issuer, session_id: str, *, reason: str, by: str, address: str = "") -> Flow[bool]:
    """End one session, at once. Returns whether this call ended it; an unknown or ended session is no error."""
    for name, value in (("session_id", session_id), ("reason", reason), ("by", by)):
        check_text(name, value)
    if not is_session_id(session_id):
        return False
    now = issuer.now()
    session = yield from call(Revoke(session_id, now, reason, by, issuer.audit(now, address)))
    if session is None:
        return False
    issuer.heard_revoked(session_id, now)
    yield _event("revoked", now, session, reason=reason, by=by, address=address or None)
    return True


def end_all(
    issuer: Issuer, subject: str, *, except_id: str | None, reason: str, by: str, address: str = ""
) -> Flow[int]:
    """End all live sessions of a subject except `except_id`. Returns how many this call ended."""
    check_subject(subject)
    for name, value in (("except_id", except_id or ""), ("reason", reason), ("by", by)):
        check_text(name, value)
    now = issuer.now()
    ended = yield from call(RevokeSubject(subject, now, reason, by, except_id, issuer.audit(now, address)))
    for session_id in ended:
        issuer.heard_revoked(session_id, now)
        yield Event("revoked", now, session_id, subject, reason=reason, by=by, address=address or None)
    return len(ended)


def end_by_token(
    issuer: Issuer,
    text: str,
    *,
    client_id: str | None,
    reason: str,
    by: str,
    address: str = "",
    binding: str | None = None,
) -> Flow[bool]:
    """End the session of a genuine refresh token, however old the token is.

    client_id: the client it must have been issued to, or None for any. Returns whether this call ended the session.
    Raises ForgedToken and WrongClient.
    """
    token = yield from genuine(issuer, text)
    session_id = token.session_id.hex()
    session = yield from call(Get(session_id))
    if session is not None and client_id not in (None, session.client_id):
        raise WrongClient
    if session is not None and session.binding is not None:
        yield from _check_binding(issuer, session, binding, issuer.now(), address)
    return (yield from end_session(issuer, session_id, reason=reason, by=by, address=address))


def look_up(issuer: Issuer, text: str, *, client_id: str | None = None) -> Flow[Session]:
    """The session of a refresh token that a refresh would accept now. Changes nothing.

    Raises InvalidGrant for any other token.
    """
    now = issuer.now()
    token = yield from genuine(issuer, text)
    session = yield from call(Get(token.session_id.hex()))
    if session is None or not session.is_live(now) or client_id not in (None, session.client_id):
        raise InvalidGrant("The refresh token is not active.")
    if issuer.is_cut_off(session):
        raise InvalidGrant("The refresh token is not active.")
    if judge(session.head, token, None, now, issuer.policy.leeway) in (Verdict.REUSE, Verdict.REFUSE):
        raise InvalidGrant("The refresh token is not active.")
    return session


def list_live(issuer: Issuer, subject: str) -> Flow[tuple[Session, ...]]:
    """The live sessions of a subject, the oldest first."""
    check_subject(subject)
    return (yield from call(ListSubject(subject, issuer.now())))


def list_audit(issuer: Issuer, subject: str, limit: int) -> Flow[tuple[AuditEntry, ...]]:
    """The audit trail of a subject, latest entry first, at most `limit` entries (1 to 1000)."""
    check_subject(subject)
    check_limit(limit, MAX_ENTRIES)
    return (yield from call(ListAudit(subject, issuer.now(), limit)))


def is_session_id(text: str) -> bool:
    """Whether `text` has the form of a session id: 32 lower-case hexadecimal digits."""
    return len(text) == 2 * SESSION_ID_BYTES and all(digit in "0123456789abcdef" for digit in text)


def genuine(issuer: Issuer, text: str) -> Flow[RefreshToken]:
    """Parse a refresh token and check its tag. Raises ForgedToken, without asking the store."""
    if not isinstance(text, str):
        raise InvalidRequest(f"A refresh token is text, not {type(text).__name__}.")
    try:
        return unseal(text, issuer.tag_keys)
    except ForgedToken:
        yield Event("forged_token_refused", issuer.now())
        raise


def _current_claims(issuer: Issuer, session: Session) -> Flow[Mapping[str, Any] | None]:
    """The session's claims, updated by the application; None if it says that the account is gone.

    Raises ConfigurationError for claims that no token can carry, before the write, so that the session is unharmed.
    """
    if issuer.claims is None:
        return session.claims
    answered = yield from ask("claims", issuer.claims, session)
    if answered is None:
        return None
    try:
        claims = {**session.claims, **application_claims(answered)}
        issuer.check_fits(session, claims)
    except ConfigurationError:
        _log.exception("the application's claims can't be put into a token")
        raise
    return claims


def _event(kind: Kind, now: float, session: Session, **details: Any) -> Event:
    return Event(kind, now, session.id, session.subject, session.client_id, **details)
