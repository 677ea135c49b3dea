"""The flows: login, refresh and revocation, each written once, as a generator that does no I/O.

A flow *yields* the effects it needs (a store call, a question to the application, an event), is sent each result, and
returns its own. `sessions.py` drives flows with a blocking or an asyncio store; tests drive them without one.

A refresh first tries one compare-and-set in the store. Only if that matches nothing, or if the application must be
asked first, does it read the session and ask `judge`.

Everything that can fail comes before the write: questions to the application, the signing key, random numbers. After
the write there is only arithmetic, so no token is used up without a response.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tenure.core.access import application_claims
from tenure.core.calls import Advance, Create, Get
from tenure.core.cutoffs import REASON as CUTOFF
from tenure.core.effects import Flow, ask, call
from tenure.core.errors import (
    ConfigurationError,
    InvalidProof,
    InvalidScope,
    LoginRefused,
    SessionEnded,
    StoreUnavailable,
    WrongClient,
)
from tenure.core.events import Event, Kind
from tenure.core.existing import (
    RACES_BEFORE_GIVING_UP,
    REVOCATION_LOST,
    TOO_MANY_RACES,
    check_binding,
    end_session,
    event_of,
    genuine,
    is_within_policy,
    shorten,
)
from tenure.core.family import Head, Verdict, judge
from tenure.core.inputs import authentication_of, check_scope, check_subject, check_text, hash_of_attempt, shortened
from tenure.core.issuer import Issuer, TokenPair
from tenure.core.session import Session
from tenure.core.tokens import (
    LAST_GENERATION,
    NONCE_BYTES,
    RefreshToken,
    first_token,
    nonce_hash,
    seal,
    session_id_for,
)

FIRST_PARTY = "first-party"
"""The client id of sessions that belong to the application's own front ends."""

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
    lifetime: str = "",
    acr: str | None = None,
    amr: Sequence[str] = (),
) -> Flow[TokenPair]:
    """Begin a session for an authenticated user. address: where the login comes from, if known. binding: the key that
    the request shows, if any. lifetime: the name of one of the policy's. acr, amr: how the user was authenticated.

    Raises InvalidProof if the policy requires a binding, LoginRefused at the limit of sessions, and
    ConfigurationError for claims that no token can carry.
    """
    check_subject(subject)
    check_scope(scope)
    for name, value in (("client_id", client_id), ("address", address)):
        check_text(name, value)
    if issuer.policy.binding == "required" and binding is None:
        raise InvalidProof
    lasts = issuer.lifetime_named(lifetime)
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
        expires_at=now + lasts.idle_ttl,
        ends_at=now + lasts.absolute_ttl,
        head=Head(0, nonce_hash(session_id, root), None, now),
        binding=None if issuer.policy.binding == "off" else binding,
        lifetime=lifetime,
        idle_ttl=lasts.idle_ttl,
        authentication=authentication_of(now, acr, amr) if acr is not None or amr else None,
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
    yield event_of("logged_in", now, session, address=address or None)
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
    if not is_within_policy(issuer, session):
        session = yield from shorten(issuer, session, now)
    yield event_of(_ANSWERED[verdict], now, session, generation=token.generation)
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
    for _ in range(RACES_BEFORE_GIVING_UP):
        session = yield from _presentable(token, client_id, now)
        yield from check_binding(issuer, session, binding, now, address)
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
            yield event_of("reuse_detected", now, session, generation=token.generation, address=address or None)
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
    raise StoreUnavailable(TOO_MANY_RACES)


def _presentable(token: RefreshToken, client_id: str, now: float) -> Flow[Session]:
    session = yield from call(Get(token.session_id.hex()))
    if session is None:
        raise SessionEnded("unknown")
    if session.client_id != client_id:
        raise WrongClient
    if session.revoked_at is not None:
        raise SessionEnded("reuse_detected" if session.revoked_reason == "reuse_detected" else "revoked")
    if not session.is_live(now):
        yield event_of("expired", now, session, generation=token.generation)
        raise SessionEnded("expired")
    return session


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
