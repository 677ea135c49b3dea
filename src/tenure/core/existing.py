"""The flows over sessions that exist: find one by its token, list them, end them.

`flows.py` has the two that hand out tokens, and the rules for all of them.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tenure.core.binding import REGISTRATION_SECONDS, bound_to
from tenure.core.calls import Get, ListAudit, ListSubject, Reauthenticate, Revoke, RevokeSubject, Shorten
from tenure.core.effects import Flow, call
from tenure.core.errors import (
    DeviceProofDelayed,
    ForgedToken,
    InvalidGrant,
    InvalidProof,
    InvalidRequest,
    SessionEnded,
    StolenTokenRefused,
    StoreUnavailable,
    WrongClient,
)
from tenure.core.events import Event, Kind
from tenure.core.family import Verdict, judge
from tenure.core.inputs import authentication_of, check_limit, check_subject, check_text
from tenure.core.issuer import Issuer
from tenure.core.session import AuditEntry, Session
from tenure.core.tokens import SESSION_ID_BYTES, RefreshToken, unseal

REVOCATION_LOST = "revocation_lost"
"""Why a session is ended that was ended before, after the store has lost that."""

_log = logging.getLogger("tenure")

MAX_ENTRIES = 1000
_TOLERANCE_SECONDS = 1.0  # stores keep whole microseconds
RACES_BEFORE_GIVING_UP = 8
TOO_MANY_RACES = "Too many refreshes of this session at once. Try again shortly."
_REGISTERING_SECONDS = 2 * REGISTRATION_SECONDS
"""For how long after its login a session's requests may not have heard yet that it was bound to a device."""


def genuine(issuer: Issuer, text: str) -> Flow[RefreshToken]:
    """Parse a refresh token and check its tag. Raises ForgedToken, without asking the store."""
    if not isinstance(text, str):
        raise InvalidRequest(f"A refresh token is text, not {type(text).__name__}.")
    try:
        return unseal(text, issuer.tag_keys)
    except ForgedToken:
        yield Event("forged_token_refused", issuer.now())
        raise


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


def check_binding(issuer: Issuer, session: Session, binding: str | None, now: float, address: str) -> Flow[None]:
    """Refuse a token of a bound session without its key, whatever its place in the family: it was copied."""
    if session.binding is None:
        if issuer.policy.binding == "required" and binding is None:
            raise InvalidProof
    elif session.binding != binding:
        if bound_to(session.binding) == "device" and now <= session.created_at + _REGISTERING_SECONDS:
            raise DeviceProofDelayed  # the request was under way while the browser registered
        yield event_of("stolen_token_refused", now, session, address=address or None)
        if issuer.policy.at_missing_proof == "end_session":
            yield from end_session(issuer, session.id, reason="stolen_token", by="policy", address=address)
        raise StolenTokenRefused


def is_within_policy(issuer: Issuer, session: Session) -> bool:
    """Whether a session lasts no longer than the policy's present lifetimes allow."""
    lifetime = issuer.policy.lifetime(session.lifetime)
    return (session.idle_ttl is None or session.idle_ttl <= lifetime.idle_ttl) and (
        session.ends_at - session.created_at < lifetime.absolute_ttl + _TOLERANCE_SECONDS
    )


def shorten(issuer: Issuer, session: Session, now: float) -> Flow[Session]:
    """Shorten a session that was made under longer lifetimes to the policy's present ones. Returns it as it is then.

    That takes a second write, once. If it fails, the next refresh does it. Raises SessionEnded if the session is over.
    """
    lifetime = issuer.policy.lifetime(session.lifetime)
    idle_ttl = lifetime.idle_ttl if session.idle_ttl is None else min(session.idle_ttl, lifetime.idle_ttl)
    ends_at = min(session.ends_at, session.created_at + lifetime.absolute_ttl)
    expires_at = min(session.expires_at, now + idle_ttl, ends_at)
    shortened = replace(session, idle_ttl=idle_ttl, ends_at=ends_at, expires_at=expires_at)
    try:
        yield from call(Shorten(session.id, idle_ttl, ends_at))
    except StoreUnavailable as problem:
        _log.warning("session %s could not be shortened: %s", session.id, problem)
    if not shortened.is_live(now):
        yield event_of("expired", now, session)
        raise SessionEnded("expired")
    return shortened


def step_up(
    issuer: Issuer, session_id: str, *, acr: str | None, amr: Sequence[str], address: str = ""
) -> Flow[Session]:
    """Record that a session's user has just been authenticated once more. The next access token says so.

    Raises SessionEnded if the session is not live.
    """
    check_text("session_id", session_id)
    authentication = authentication_of(issuer.now(), acr, amr)
    session = None
    if is_session_id(session_id):
        session = yield from call(Reauthenticate(session_id, authentication))
    if session is None or issuer.is_cut_off(session):
        raise SessionEnded("revoked")
    yield event_of("stepped_up", authentication.at, session, address=address or None)
    return session


def is_session_id(text: str) -> bool:
    """Whether `text` has the form of a session id: 32 lower-case hexadecimal digits."""
    return len(text) == 2 * SESSION_ID_BYTES and all(digit in "0123456789abcdef" for digit in text)


def list_live(issuer: Issuer, subject: str) -> Flow[tuple[Session, ...]]:
    """The live sessions of a subject, the oldest first."""
    check_subject(subject)
    return (yield from call(ListSubject(subject, issuer.now())))


def list_audit(issuer: Issuer, subject: str, limit: int) -> Flow[tuple[AuditEntry, ...]]:
    """The audit trail of a subject, latest entry first, at most `limit` entries (1 to 1000)."""
    check_subject(subject)
    check_limit(limit, MAX_ENTRIES)
    return (yield from call(ListAudit(subject, issuer.now(), limit)))


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
    yield event_of("revoked", now, session, reason=reason, by=by, address=address or None)
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
        yield from check_binding(issuer, session, binding, issuer.now(), address)
    return (yield from end_session(issuer, session_id, reason=reason, by=by, address=address))


def event_of(kind: Kind, now: float, session: Session, **details: Any) -> Event:
    """Something that happened to `session` at `now` (seconds, UTC)."""
    return Event(kind, now, session.id, session.subject, session.client_id, bound=bound_to(session.binding), **details)
