"""How a session lies in a row, and how a batch is cut: what the SQL stores have in common.

Times are kept in whole microseconds, UTC, ids and hashes as bytes, claims as JSON.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tenure.core.calls import Advance, Audit, Call
from tenure.core.family import Head
from tenure.core.session import FOREVER, AuditEntry, Page, Session

SESSION_COLUMNS = (
    "id, subject, client_id, scope, claims, device, created_at, expires_at, ends_at,"
    " generation, nonce_hash, attempt_hash, rotated_at, revoked_at, revoked_reason, revoked_by"
)


def micros(seconds: float) -> int:
    """Seconds as a row has them."""
    return round(seconds * 1e6)


def session_of(row: Sequence[Any]) -> Session:
    """The session that a row of SESSION_COLUMNS holds."""
    (id_, subject, client_id, scope, claims, device, created_at, expires_at, ends_at,
     generation, nonce_hash, attempt_hash, rotated_at, revoked_at, reason, by) = row  # fmt: skip
    return Session(
        id_.hex(), subject, client_id, scope, json.loads(claims), device, created_at / 1e6, expires_at / 1e6,
        ends_at / 1e6, Head(generation, nonce_hash, attempt_hash, rotated_at / 1e6),
        None if revoked_at is None else revoked_at / 1e6, reason, by,
    )  # fmt: skip


def row_of(new: Session) -> tuple[Any, ...]:
    """What a new session puts into SESSION_COLUMNS, but for the last three, which are null."""
    head = new.head
    return (
        bytes.fromhex(new.id), new.subject, new.client_id, new.scope, json.dumps(dict(new.claims)), new.device,
        micros(new.created_at), micros(new.expires_at), micros(new.ends_at), head.generation, head.nonce_hash,
        head.attempt_hash, micros(head.rotated_at),
    )  # fmt: skip


def entry_of(changed: Session, audit: Audit) -> AuditEntry:
    """What the audit trail says of a session that was made just now, or ended just now."""
    common = (changed.id, changed.client_id, changed.device, audit.address)
    if changed.revoked_at is None:
        return AuditEntry(changed.created_at, "logged_in", *common)
    return AuditEntry(changed.revoked_at, "revoked", *common, changed.revoked_reason, changed.revoked_by)


def latest_first(entries: Iterable[AuditEntry]) -> tuple[AuditEntry, ...]:
    """The entries of a trail in their order; of one moment, by their sessions."""
    return tuple(sorted(entries, key=lambda entry: (-entry.at, entry.session_id)))


def page_of(sessions: Sequence[Session], limit: int) -> Page:
    """A page of sessions in the order of their ids, which are spread evenly."""
    if len(sessions) < limit:
        return Page(tuple(sessions), "", 1.0)
    last = sessions[-1].id
    return Page(tuple(sessions), last, part_of(last))


def part_of(cursor: str) -> float:
    """How much of all sessions comes before this id, about: they are spread evenly. Of "" all does."""
    return int(cursor[:8], 16) / 2**32 if cursor else 1.0


def examined_for(limit: int) -> int:
    """How many sessions are looked at for a page of the latest, so that a rare client costs no walk through all."""
    return 10 * limit + 1000


def latest_cursor(created_at: int, session_id: str) -> str:
    """Where the next page of the latest sessions begins. created_at: in microseconds."""
    return f"{created_at}:{session_id}"


def latest_from(cursor: str) -> tuple[int, str]:
    """What `latest_cursor` was given; "" begins at the latest."""
    created_at, _, session_id = cursor.partition(":")
    return (int(created_at), session_id) if cursor else (micros(FOREVER), "")


def runs(calls: Sequence[Call[Any]]) -> Iterator[tuple[type[Call[Any]], list[Any]]]:
    """The calls in their order, cut into runs of one kind, in which no session is refreshed twice."""
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
