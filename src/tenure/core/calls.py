"""What a store is asked, as values: each call says all that it needs, and what kind of answer it gets.

Calls are data, so that the flows can yield them without knowing a store, a batch is a list of them, and every store
is one function from calls to answers. A store has no opinion: who may do what is decided above it. It promises three
things: a call happens wholly or not at all, an answer is given only after what it reports is durable, and calls on
one session happen one after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tenure.core.family import Head
from tenure.core.session import AuditEntry, Page, Session, Which

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Audit:
    """That a change leaves an entry in its subject's audit trail, in the same transaction. address: where it was asked
    for from, or "". until: when the entry may be forgotten (seconds, UTC)."""

    address: str
    until: float


class Call(Generic[T_co]):
    """One question to a store; the parameter is the type of its answer."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Create(Call[tuple[str, ...] | None]):
    """Make a session. With a `limit` on the subject's live sessions, the oldest give way, or this one does.

    Answers the ids of the sessions that were ended to make room, or None where the new one was refused.
    """

    session: Session
    limit: int | None = None
    end_oldest: bool = True
    audit: Audit | None = None

    def giving_way(self, live: Sequence[Session]) -> Sequence[Session] | None:
        """Which of the subject's `live` sessions, the oldest first, make room; None where the new one gives way."""
        too_many = [] if self.limit is None else live[: max(0, len(live) - self.limit + 1)]
        return too_many if self.end_oldest or not too_many else None


@dataclass(frozen=True, slots=True)
class Advance(Call[Session | None]):
    """Compare and set: if the live session's head is the expected one, `head` takes its place.

    Answers the session as it is then, or None where anything did not match. `idle_deadline`: when the session is to
    end if nobody refreshes (seconds, UTC); the end of its absolute lifetime still bounds it.
    """

    session_id: str
    client_id: str
    expected_generation: int
    expected_hash: bytes
    head: Head
    idle_deadline: float


@dataclass(frozen=True, slots=True)
class Get(Call[Session | None]):
    """The session of this id, live or not, or None."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Revoke(Call[Session | None]):
    """End one session. Answers it as it is then, or None where there was none that was not already revoked."""

    session_id: str
    now: float
    reason: str
    by: str
    audit: Audit | None = None


@dataclass(frozen=True, slots=True)
class RevokeSubject(Call[tuple[str, ...]]):
    """End all live sessions of a subject but `except_id`, at once. Answers the ids of those that this ended."""

    subject: str
    now: float
    reason: str
    by: str
    except_id: str | None = None
    audit: Audit | None = None


@dataclass(frozen=True, slots=True)
class ListSubject(Call[tuple[Session, ...]]):
    """The live sessions of a subject, the oldest first."""

    subject: str
    now: float


@dataclass(frozen=True, slots=True)
class ListAudit(Call[tuple[AuditEntry, ...]]):
    """The audit trail of a subject, the latest entry first, at most `limit` of them."""

    subject: str
    now: float
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Counts:
    """What a part of the store holds: `live` sessions, how many of them were `refreshed` lately, `by_client`.

    cursor and progress: as a Page has them.
    """

    live: int
    refreshed: int
    by_client: Mapping[str, int]
    cursor: str
    progress: float


@dataclass(frozen=True, slots=True)
class Survey(Call[Counts]):
    """Count those live sessions among the next `limit` of all (from `cursor` on) that are meant. since: from when on a
    refresh is late enough to be counted (seconds, UTC)."""

    which: Which
    now: float
    since: float
    cursor: str = ""
    limit: int = 10_000


@dataclass(frozen=True, slots=True)
class Swept:
    """How many sessions were ended. cursor and progress: as a Page has them."""

    ended: int
    cursor: str
    progress: float


@dataclass(frozen=True, slots=True)
class RevokeWhere(Call[Swept]):
    """End those live sessions among the next `limit` of all (from `cursor` on) that are meant. The feed does not tell
    of them: a cutoff does."""

    which: Which
    now: float
    reason: str
    by: str
    cursor: str = ""
    limit: int = 1000
    audit: Audit | None = None


@dataclass(frozen=True, slots=True)
class ListLatest(Call[Page]):
    """Live sessions that are meant, the latest login first: at most `limit`, and fewer where few of many are meant."""

    which: Which
    now: float
    cursor: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class CountAudit(Call[Mapping[tuple[str, str], int]]):
    """How many logins and ends there were since a moment (seconds, UTC): by kind and reason ("" for none)."""

    since: float


@dataclass(frozen=True, slots=True)
class Revocations:
    """Sessions revoked since some position in the feed: ids with the moment (seconds, UTC), and the new position.

    What happened at that very position may be told once more the next time; nothing is ever left out.
    """

    position: int
    revoked: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class RevokedSince(Call[Revocations]):
    """What was revoked after `position` in the store's own count (0: everything that is still remembered)."""

    position: int


@dataclass(frozen=True, slots=True)
class Purge(Call[int]):
    """Delete up to `limit` sessions that ended before `before` (seconds, UTC), and forget revocations that old, and the
    entries of audit trails that are kept no longer than `now`.

    Answers how many sessions were deleted: fewer than `limit` means that no more are left.
    """

    before: float
    now: float
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Scan(Call[Page]):
    """About `limit` sessions from `cursor` on ("" is the beginning). Each that is there all the while is told once at
    least, in no order that means anything."""

    cursor: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Restore(Call[bool]):
    """Keep a live session as it is in another store. Answers whether it was written: one that was revoked here, or
    refreshed further, stays."""

    session: Session


@dataclass(frozen=True, slots=True)
class KeepAudit(Call[bool]):
    """Keep an entry of another store's audit trail, until `until` (seconds, UTC). Answers whether it was new."""

    subject: str
    until: float
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some of all entries of all audit trails, as another store is to keep them. cursor: as a Page has it."""

    entries: tuple[KeepAudit, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class ScanAudit(Call[AuditPage]):
    """About `limit` entries of audit trails from `cursor` on, as Scan does it for sessions."""

    cursor: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class PutRecord(Call[bool]):
    """Keep a small named text (an account, a client, a signing key). Answers whether it was written: with
    `replace` false, an existing one stays and the answer is False; with it true, a missing one is not made."""

    kind: str
    name: str
    body: str = field(repr=False)
    replace: bool = False


@dataclass(frozen=True, slots=True)
class GetRecord(Call[str | None]):
    """The text kept under this name, or None."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class ListRecords(Call[tuple[tuple[str, str], ...]]):
    """All names of a kind with their texts, in the order of the names."""

    kind: str


@dataclass(frozen=True, slots=True)
class DeleteRecord(Call[bool]):
    """Forget a text. Answers whether there was one."""

    kind: str
    name: str
