"""The memory store, for tests and experiments. It lives and ends with one process."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

from tenure.core.calls import (
    Advance,
    Audit,
    AuditPage,
    Call,
    CountAudit,
    Counts,
    Create,
    DeleteRecord,
    Get,
    GetRecord,
    KeepAudit,
    ListAudit,
    ListLatest,
    ListRecords,
    ListSubject,
    Purge,
    PutRecord,
    Reauthenticate,
    Restore,
    Revocations,
    Revoke,
    RevokedSince,
    RevokeSubject,
    RevokeWhere,
    Scan,
    ScanAudit,
    Shorten,
    Survey,
    Swept,
)
from tenure.core.forking import survive_forks
from tenure.core.session import AuditEntry, Page, Session
from tenure.stores.listening import Heard
from tenure.stores.rows import entry_of, latest_cursor, latest_first, latest_from, micros, page_of, part_of

T = TypeVar("T")


class MemoryStore:
    """Sessions in this process's memory."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._revocations: list[tuple[int, str, float]] = []
        self._position = 0
        self._records: dict[tuple[str, str], str] = {}
        self._audit: list[tuple[float, str, AuditEntry]] = []
        self._lock = threading.Lock()
        survive_forks(self)
        self._answers: dict[type[Call[Any]], Callable[[Any], Any]] = {
            Create: self._create,
            Advance: self._advance,
            Get: lambda call: self._sessions.get(call.session_id),
            Revoke: self._revoke,
            Shorten: self._shorten,
            Reauthenticate: self._reauthenticate,
            RevokeSubject: self._revoke_subject,
            ListSubject: self._list_subject,
            ListAudit: self._list_audit,
            KeepAudit: self._keep_audit,
            ScanAudit: self._scan_audit,
            RevokedSince: self._revoked_since,
            Survey: self._survey,
            RevokeWhere: self._revoke_where,
            ListLatest: self._list_latest,
            CountAudit: self._count_audit,
            Purge: self._purge,
            Scan: self._scan,
            Restore: self._restore,
            PutRecord: self._put_record,
            GetRecord: lambda call: self._records.get((call.kind, call.name)),
            ListRecords: self._list_records,
            DeleteRecord: lambda call: self._records.pop((call.kind, call.name), None) is not None,
        }

    def run(self, call: Call[T]) -> T:
        """Run one call."""
        with self._lock:
            return cast(T, self._answers[type(call)](call))

    async def arun(self, call: Call[T]) -> T:
        """Run one call, without awaiting anything, as it takes microseconds."""
        return self.run(call)

    def watch(self, heard: Heard) -> None:
        """Does nothing: there are no other instances."""

    def close(self) -> None:
        """Does nothing."""

    def open(self) -> None:
        """Does nothing: the sessions are still there."""

    def before_fork(self) -> None:
        """Wait for calls in progress."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Continue with a copy of the parent's sessions."""
        self._lock.release()

    def _create(self, call: Create) -> tuple[str, ...] | None:
        new = call.session
        giving_way = call.giving_way(self._list_subject(ListSubject(new.subject, new.created_at)))
        if giving_way is None:
            return None
        for old in giving_way:
            self._revoke(Revoke(old.id, new.created_at, "session_limit", "policy", call.audit))
        self._sessions[new.id] = new
        self._note(new, call.audit)
        return tuple(old.id for old in giving_way)

    def _advance(self, call: Advance) -> Session | None:
        session = self._sessions.get(call.session_id)
        if (
            session is None
            or not session.is_live(call.head.rotated_at)
            or session.client_id != call.client_id
            or session.head.generation != call.expected_generation
            or session.head.nonce_hash != call.expected_hash
            or session.binding != call.expected_binding
        ):
            return None
        idle = session.idle_ttl
        deadline = min(call.idle_deadline if idle is None else call.head.rotated_at + idle, session.ends_at)
        moved = replace(session, head=call.head, expires_at=deadline, binding=call.binding)
        self._sessions[session.id] = moved
        return moved

    def _shorten(self, call: Shorten) -> Session | None:
        session = self._sessions.get(call.session_id)
        if session is None or session.revoked_at is not None:
            return None
        if session.idle_ttl is not None and session.idle_ttl < call.idle_ttl:
            return None
        ends_at = min(session.ends_at, call.ends_at)
        expires_at = min(session.expires_at, ends_at, session.last_used_at + call.idle_ttl)
        return self._changed(session, idle_ttl=call.idle_ttl, ends_at=ends_at, expires_at=expires_at)

    def _reauthenticate(self, call: Reauthenticate) -> Session | None:
        session = self._sessions.get(call.session_id)
        if session is None or not session.is_live(call.authentication.at):
            return None
        return self._changed(session, authentication=call.authentication)

    def _changed(self, session: Session, **changes: Any) -> Session:
        changed = self._sessions[session.id] = replace(session, **changes)
        return changed

    def _revoke(self, call: Revoke, *, announce: bool = True) -> Session | None:
        session = self._sessions.get(call.session_id)
        if session is None or session.revoked_at is not None:
            return None
        ended = replace(session, revoked_at=call.now, revoked_reason=call.reason, revoked_by=call.by)
        self._sessions[session.id] = ended
        if announce:
            self._position += 1
            self._revocations.append((self._position, session.id, call.now))
        self._note(ended, call.audit)
        return ended

    def _revoke_subject(self, call: RevokeSubject) -> tuple[str, ...]:
        live = self._list_subject(ListSubject(call.subject, call.now))
        ended = [session.id for session in live if session.id != call.except_id]
        for session_id in ended:
            self._revoke(Revoke(session_id, call.now, call.reason, call.by, call.audit))
        return tuple(ended)

    def _note(self, changed: Session, audit: Audit | None) -> None:
        if audit is not None:
            self._audit.append((audit.until, changed.subject, entry_of(changed, audit)))

    def _keep_audit(self, call: KeepAudit) -> bool:
        kept = (call.until, call.subject, call.entry)
        if kept in self._audit:
            return False
        self._audit.append(kept)
        return True

    def _scan_audit(self, call: ScanAudit) -> AuditPage:
        begin = int(call.cursor or 0)
        found = self._audit[begin : begin + call.limit]
        cursor = str(begin + call.limit) if len(found) == call.limit else ""
        return AuditPage(tuple(KeepAudit(subject, until, entry) for until, subject, entry in found), cursor)

    def _list_audit(self, call: ListAudit) -> tuple[AuditEntry, ...]:
        kept = [entry for until, subject, entry in self._audit if subject == call.subject and until > call.now]
        return latest_first(kept)[: call.limit]

    def _list_subject(self, call: ListSubject) -> tuple[Session, ...]:
        live = [s for s in self._sessions.values() if s.subject == call.subject and s.is_live(call.now)]
        return tuple(sorted(live, key=lambda session: (session.created_at, session.id)))

    def _revoked_since(self, call: RevokedSince) -> Revocations:
        news = [entry for entry in self._revocations if entry[0] > call.position]
        return Revocations(
            news[-1][0] if news else call.position, tuple((session_id, at) for _, session_id, at in news)
        )

    def _next(self, cursor: str, limit: int) -> tuple[list[Session], str, float]:
        ids = sorted(session_id for session_id in self._sessions if session_id > cursor)[:limit]
        following = ids[-1] if len(ids) == limit else ""
        return [self._sessions[session_id] for session_id in ids], following, part_of(following)

    def _survey(self, call: Survey) -> Counts:
        some, cursor, progress = self._next(call.cursor, call.limit)
        live = [session for session in some if session.is_live(call.now) and call.which.includes(session)]
        refreshed = sum(one.head.generation > 0 and one.last_used_at > call.since for one in live)
        return Counts(len(live), refreshed, Counter(one.client_id for one in live), cursor, progress)

    def _revoke_where(self, call: RevokeWhere) -> Swept:
        some, cursor, progress = self._next(call.cursor, call.limit)
        chosen = [session for session in some if session.is_live(call.now) and call.which.includes(session)]
        for session in chosen:
            self._revoke(Revoke(session.id, call.now, call.reason, call.by, call.audit), announce=False)
        return Swept(len(chosen), cursor, progress)

    def _list_latest(self, call: ListLatest) -> Page:
        begin = latest_from(call.cursor)
        meant = [one for one in self._sessions.values() if one.is_live(call.now) and call.which.includes(one)]
        places = sorted(((micros(one.created_at), one.id) for one in meant), reverse=True)
        found = [place for place in places if place < begin][: call.limit]
        cursor = latest_cursor(*found[-1]) if len(found) == call.limit else ""
        return Page(tuple(self._sessions[session_id] for _, session_id in found), cursor, 1.0)

    def _count_audit(self, call: CountAudit) -> dict[tuple[str, str], int]:
        late = [entry for _, _, entry in self._audit if entry.at > call.since]
        return dict(Counter((entry.kind, entry.reason or "") for entry in late))

    def _purge(self, call: Purge) -> int:
        self._revocations = [entry for entry in self._revocations if entry[2] >= call.before]
        self._audit = [kept for kept in self._audit if kept[0] > call.now]
        over = [s.id for s in self._sessions.values() if _ended_before(s, call.before)][: call.limit]
        for session_id in over:
            del self._sessions[session_id]
        return len(over)

    def _scan(self, call: Scan) -> Page:
        ids = sorted(session_id for session_id in self._sessions if session_id > call.cursor)
        return page_of([self._sessions[session_id] for session_id in ids[: call.limit]], call.limit)

    def _restore(self, call: Restore) -> bool:
        session = call.session
        here = self._sessions.get(session.id)
        if here is not None and (here.revoked_at is not None or here.head.generation > session.head.generation):
            return False
        self._sessions[session.id] = session
        return True

    def _put_record(self, call: PutRecord) -> bool:
        key = (call.kind, call.name)
        if (key in self._records) is not call.replace:
            return False
        self._records[key] = call.body
        return True

    def _list_records(self, call: ListRecords) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((name, body) for (kind, name), body in self._records.items() if kind == call.kind))


def _ended_before(session: Session, moment: float) -> bool:
    return session.expires_at < moment or (session.revoked_at is not None and session.revoked_at < moment)
