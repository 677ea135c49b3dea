"""Sessions as rows, and how a batch is split, for all SQL stores.

Times are stored in whole microseconds, UTC, ids and hashes as bytes, claims as JSON.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tenure.core.binding import bound_to
from tenure.core.calls import (
    Advance,
    Audit,
    Call,
    CountAudit,
    Get,
    GetRecord,
    ListAudit,
    ListLatest,
    ListRecords,
    ListSubject,
    RevokedSince,
    Scan,
    ScanAudit,
    Survey,
)
from tenure.core.family import Head
from tenure.core.session import FOREVER, AuditEntry, Authentication, Page, Session

SESSION_COLUMNS = (
    "id, subject, client_id, scope, claims, device, created_at, expires_at, ends_at,"
    " generation, nonce_hash, attempt_hash, rotated_at, revoked_at, revoked_reason, revoked_by, binding,"
    " lifetime, idle_ttl, authentication"
)


def micros(seconds: float) -> int:
    """Convert seconds to a row's microseconds."""
    return round(seconds * 1e6)


def session_of(row: Sequence[Any]) -> Session:
    """Convert a row of SESSION_COLUMNS to a session."""
    (id_, subject, client_id, scope, claims, device, created_at, expires_at, ends_at,
     generation, nonce_hash, attempt_hash, rotated_at, revoked_at, reason, by, binding,
     lifetime, idle_ttl, authentication) = row  # fmt: skip
    return Session(
        id_.hex(), subject, client_id, scope, json.loads(claims), device, created_at / 1e6, expires_at / 1e6,
        ends_at / 1e6, Head(generation, nonce_hash, attempt_hash, rotated_at / 1e6),
        None if revoked_at is None else revoked_at / 1e6, reason, by, binding,
        lifetime or "", None if idle_ttl is None else idle_ttl / 1e6, authentication_from(authentication),
    )  # fmt: skip


def row_of(new: Session) -> tuple[Any, ...]:
    """Convert a new session to SESSION_COLUMNS, without the three of its revocation, which are null."""
    head = new.head
    return (
        bytes.fromhex(new.id), new.subject, new.client_id, new.scope, json.dumps(dict(new.claims)), new.device,
        micros(new.created_at), micros(new.expires_at), micros(new.ends_at), head.generation, head.nonce_hash,
        head.attempt_hash, micros(head.rotated_at), new.binding, new.lifetime,
        None if new.idle_ttl is None else micros(new.idle_ttl), authentication_text(new.authentication),
    )  # fmt: skip


def authentication_text(authentication: Authentication | None) -> str | None:
    """An authentication as JSON, in whole microseconds; None for None."""
    if authentication is None:
        return None
    return json.dumps([micros(authentication.at), authentication.acr, *authentication.amr], separators=(",", ":"))


def authentication_from(text: str | None) -> Authentication | None:
    """Parse what `authentication_text` wrote."""
    if not text:
        return None
    at, acr, *amr = json.loads(text)
    return Authentication(at / 1e6, acr, tuple(amr))


def entry_of(changed: Session, audit: Audit) -> AuditEntry:
    """The audit entry of a session that has just begun or ended."""
    common, bound = (changed.id, changed.client_id, changed.device, audit.address), bound_to(changed.binding)
    if changed.revoked_at is None:
        return AuditEntry(changed.created_at, "logged_in", *common, bound=bound)
    return AuditEntry(changed.revoked_at, "revoked", *common, changed.revoked_reason, changed.revoked_by, bound)


def latest_first(entries: Iterable[AuditEntry]) -> tuple[AuditEntry, ...]:
    """Sort a trail's entries, latest first, then by session."""
    return tuple(sorted(entries, key=lambda entry: (-entry.at, entry.session_id)))


def page_of(sessions: Sequence[Session], limit: int) -> Page:
    """A page of sessions ordered by id; ids are evenly distributed."""
    if len(sessions) < limit:
        return Page(tuple(sessions), "", 1.0)
    last = sessions[-1].id
    return Page(tuple(sessions), last, part_of(last))


def part_of(cursor: str) -> float:
    """Roughly which part of all sessions comes before this id, as ids are evenly distributed; all for ""."""
    return int(cursor[:8], 16) / 2**32 if cursor else 1.0


def examined_for(limit: int) -> int:
    """How many sessions to read for a page of the latest, so that a rare client does not cost a full scan."""
    return 10 * limit + 1000


def latest_cursor(created_at: int, session_id: str) -> str:
    """The cursor of the next page of latest sessions. created_at: in microseconds."""
    return f"{created_at}:{session_id}"


def latest_from(cursor: str) -> tuple[int, str]:
    """Parse a cursor made by `latest_cursor`; "" is the beginning."""
    created_at, _, session_id = cursor.partition(":")
    return (int(created_at), session_id) if cursor else (micros(FOREVER), "")


def runs(calls: Sequence[Call[Any]]) -> Iterator[tuple[type[Call[Any]], list[Any]]]:
    """Split the calls, in order, into runs of one kind in which no session is refreshed twice."""
    kind: type[Call[Any]] | None = None
    run: list[Any] = []
    seen: set[str] = set()
    for call in calls:
        repeats = isinstance(call, Advance) and call.session_id in seen
        if kind is not None and (type(call) is not kind or repeats):
            yield kind, run
            run, seen = [], set()
        kind = type(call)
        run.append(call)
        if isinstance(call, Advance):
            seen.add(call.session_id)
    if kind is not None:
        yield kind, run


def only_reads(calls: Sequence[Call[Any]]) -> bool:
    """Whether a batch needs no write lock: SQLite has one, and waiting for it can fail."""
    return all(type(call) in _READS for call in calls)


_READS = {
    Get, ListSubject, ListAudit, ListLatest, Survey, CountAudit, RevokedSince, Scan, ScanAudit, GetRecord, ListRecords,
}  # fmt: skip
