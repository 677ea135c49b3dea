"""The calls to a store, as values: each holds its arguments and has a type of result.

Calls are data: flows yield them without knowing a store, a batch is a list of them, and a store is one function from
calls to results. A store has no policy; the flows decide who may do what. It guarantees three things: a call is atomic,
it returns only once its effect is durable, and calls on one session are serialized.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tenure.core.family import Head
from tenure.core.session import AuditEntry, Authentication, Page, Session, Which

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Audit:
    """Makes a change leave an entry in its subject's audit trail, in the same transaction. address: where the request
    came from, or "". until: when the entry may be deleted (seconds, UTC)."""

    address: str
    until: float


class Call(Generic[T_co]):
    """A call to a store; the parameter is the type of its result."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Create(Call[tuple[str, ...] | None]):
    """Create a session. `limit` bounds the subject's live sessions: beyond it, the oldest are ended, or the new one is
    refused.

    Returns the ids of the sessions that were ended to make room, or None if the new one was refused.
    """

    session: Session
    limit: int | None = None
    end_oldest: bool = True
    audit: Audit | None = None

    def giving_way(self, live: Sequence[Session]) -> Sequence[Session] | None:
        """Which of the subject's `live` sessions (oldest first) to end; None to refuse the new one."""
        too_many = [] if self.limit is None else live[: max(0, len(live) - self.limit + 1)]
        return too_many if self.end_oldest or not too_many else None


@dataclass(frozen=True, slots=True)
class Advance(Call[Session | None]):
    """Compare and set: replace the live session's head with `head` if it is the expected one.

    Returns the updated session, or None if anything did not match. The session then ends its own idle lifetime after
    the new head's `rotated_at`; one without, at `idle_deadline` (seconds, UTC); but never later than its absolute
    lifetime.
    `binding` takes the place of `expected_binding`, which is compared as well.
    """

    session_id: str
    client_id: str
    expected_generation: int
    expected_hash: bytes
    head: Head
    idle_deadline: float
    expected_binding: str | None = None
    binding: str | None = None


@dataclass(frozen=True, slots=True)
class Shorten(Call[Session | None]):
    """Give a session that is not revoked a shorter idle lifetime (seconds) and an earlier end (seconds, UTC).

    Returns the session then, or None. Neither end becomes later than it was.
    """

    session_id: str
    idle_ttl: float
    ends_at: float


@dataclass(frozen=True, slots=True)
class Reauthenticate(Call[Session | None]):
    """Record a later authentication of a session that is live at `authentication.at`. Returns it, or None."""

    session_id: str
    authentication: Authentication


@dataclass(frozen=True, slots=True)
class Get(Call[Session | None]):
    """The session with this id, live or not, or None."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Revoke(Call[Session | None]):
    """End one session. Returns the ended session, or None if there is none or it was already revoked."""

    session_id: str
    now: float
    reason: str
    by: str
    audit: Audit | None = None


@dataclass(frozen=True, slots=True)
class RevokeSubject(Call[tuple[str, ...]]):
    """End all live sessions of a subject but `except_id`, at once. Returns the ids of those that this ended."""

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
    """The audit trail of a subject, latest entry first, at most `limit` entries."""

    subject: str
    now: float
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts for a part of the store: `live` sessions, how many of them were `refreshed` lately, and how many
    `by_client`.

    cursor and progress: as a Page has them.
    """

    live: int
    refreshed: int
    by_client: Mapping[str, int]
    cursor: str
    progress: float


@dataclass(frozen=True, slots=True)
class Survey(Call[Counts]):
    """Count the matching live sessions among the next `limit` sessions after `cursor`. since: count as refreshed those
    refreshed after this moment (seconds, UTC)."""

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
    """End the matching live sessions among the next `limit` sessions after `cursor`. The revocation feed leaves them
    out, as a cutoff announces them."""

    which: Which
    now: float
    reason: str
    by: str
    cursor: str = ""
    limit: int = 1000
    audit: Audit | None = None


@dataclass(frozen=True, slots=True)
class ListLatest(Call[Page]):
    """Matching live sessions, latest login first: at most `limit`, and fewer if matches are rare."""

    which: Which
    now: float
    cursor: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class CountAudit(Call[Mapping[tuple[str, str], int]]):
    """Count logins and ends since a moment (seconds, UTC), by kind and reason ("" for none)."""

    since: float


@dataclass(frozen=True, slots=True)
class Revocations:
    """Sessions revoked after a position in the feed: ids and moments (seconds, UTC), and the new position.

    An entry may be repeated the next time; none is ever left out.
    """

    position: int
    revoked: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class RevokedSince(Call[Revocations]):
    """What was revoked after `position` in the store's own count (0: everything it still has)."""

    position: int


@dataclass(frozen=True, slots=True)
class Purge(Call[int]):
    """Delete up to `limit` sessions that ended before `before` (seconds, UTC), revocations that old, and audit entries
    that expired before `now`.

    Returns how many sessions were deleted; fewer than `limit` means that none are left.
    """

    before: float
    now: float
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Scan(Call[Page]):
    """About `limit` sessions after `cursor` ("" is the beginning), in no particular order. A session that exists
    throughout the scan is returned at least once."""

    cursor: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Restore(Call[bool]):
    """Copy a live session from another store. Returns whether it was written: a session that was revoked or refreshed
    further here stays as it is."""

    session: Session


@dataclass(frozen=True, slots=True)
class KeepAudit(Call[bool]):
    """Copy an audit entry from another store, to be kept until `until` (seconds, UTC). Returns whether it was new."""

    subject: str
    until: float
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of all audit entries, as calls that copy them to another store. cursor: as in Page."""

    entries: tuple[KeepAudit, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class ScanAudit(Call[AuditPage]):
    """About `limit` audit entries after `cursor`, with the guarantees of Scan."""

    cursor: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class PutRecord(Call[bool]):
    """Store a small named text (an account, a client, a signing key). Returns whether it was written: without
    `replace`, only a new one is; with it, only an existing one."""

    kind: str
    name: str
    body: str = field(repr=False)
    replace: bool = False


@dataclass(frozen=True, slots=True)
class GetRecord(Call[str | None]):
    """The text with this name, or None."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class ListRecords(Call[tuple[tuple[str, str], ...]]):
    """All names of a kind with their texts, ordered by name."""

    kind: str


@dataclass(frozen=True, slots=True)
class DeleteRecord(Call[bool]):
    """Delete a text. Returns whether it existed."""

    kind: str
    name: str
