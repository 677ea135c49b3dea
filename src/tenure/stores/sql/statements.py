"""The statements that the SQL stores share: every call except the refresh.

SQLite, PostgreSQL and MySQL differ in parameter markers, table names and locks, which are the arguments of `dialect`.
The connections have an `execute` that returns a cursor, and nothing else is needed. Each store has its own statement
for the refresh, which has to be fast.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tenure.core.calls import (
    Advance,
    Call,
    CountAudit,
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
)
from tenure.core.cutoffs import REASON as CUTOFF
from tenure.core.session import Page, Session
from tenure.stores.rows import SESSION_COLUMNS, authentication_text, micros, page_of, row_of, session_of
from tenure.stores.sql.audit import AuditStatements, audit_statements, keep_audit, list_audit, note, scan_audit
from tenure.stores.sql.many import ManyStatements, count_audit, list_latest, many_statements, revoke_where, survey

Connection = Any
"""sqlite3's or psycopg's: `execute(statement, arguments)` answers a cursor."""


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements in one dialect. `lock_subject` makes other logins of a subject wait until this one is counted.

    returns: whether an UPDATE returns the session that it changed; otherwise the session is read after it. feed: what
    adds a revocation to the feed, in a database where no trigger does. restore_new: inserts a session, where `restore`
    only updates one.
    """

    create: str
    get: str
    revoke: str
    shorten: str
    reauthenticate: str
    list_subject: str
    revoked_since: str
    purge: str
    purge_feed: str
    scan: str
    restore: str
    put_record: str
    replace_record: str
    get_record: str
    list_records: str
    delete_record: str
    lock_subject: str | None
    audit: AuditStatements
    many: ManyStatements
    returns: bool = True
    feed: Callable[[Connection, Session], None] | None = None
    restore_new: str | None = None


def dialect(
    mark: str,
    *,
    prefix: str = "",
    lock_purged: str = "",
    bytewise: str = "",
    lock_subject: str | None = None,
    position: str = "strpos",
    returns: bool = True,
) -> Statements:
    """The statements in a dialect. mark: the parameter marker. prefix: of table names.

    lock_purged: the clause that locks rows to be purged. bytewise: the collation that sorts names by their bytes.
    position: the function that finds a substring. returns: whether an UPDATE can return rows.
    """
    returning = f"RETURNING {SESSION_COLUMNS}" if returns else ""
    tables = ("sessions", "revocations", "records")
    sessions, revocations, records = (f"{prefix}{table}" for table in tables)
    return Statements(
        create=f"INSERT INTO {sessions} ({SESSION_COLUMNS}) VALUES ({new_values(mark)})",
        get=f"SELECT {SESSION_COLUMNS} FROM {sessions} WHERE id = {mark}",
        revoke=f"""
            UPDATE {sessions} SET revoked_at = {mark}, revoked_reason = {mark}, revoked_by = {mark}
            WHERE id = {mark} AND revoked_at IS NULL {returning}
        """,
        shorten=f"""
            UPDATE {sessions} SET idle_ttl = {mark},
                ends_at = CASE WHEN ends_at < {mark} THEN ends_at ELSE {mark} END,
                expires_at = CASE WHEN expires_at < {mark} THEN expires_at ELSE {mark} END
            WHERE id = {mark} AND revoked_at IS NULL AND (idle_ttl IS NULL OR idle_ttl >= {mark})
            {returning}
        """,
        reauthenticate=f"""
            UPDATE {sessions} SET authentication = {mark}
            WHERE id = {mark} AND revoked_at IS NULL AND expires_at > {mark} {returning}
        """,
        list_subject=f"""
            SELECT {SESSION_COLUMNS} FROM {sessions}
            WHERE subject = {mark} AND revoked_at IS NULL AND expires_at > {mark}
            ORDER BY created_at, id
        """,
        revoked_since=f"SELECT position, id, revoked_at FROM {revocations} WHERE position > {mark} ORDER BY position",
        purge=f"""
            DELETE FROM {sessions} WHERE id IN (
                SELECT id FROM {sessions} WHERE expires_at < {mark} OR revoked_at < {mark} LIMIT {mark} {lock_purged}
            )
        """,
        purge_feed=f"DELETE FROM {revocations} WHERE revoked_at < {mark}",
        scan=f"SELECT {SESSION_COLUMNS} FROM {sessions} WHERE id > {mark} ORDER BY id LIMIT {mark}",
        restore=f"""
            INSERT INTO {sessions} AS here ({SESSION_COLUMNS}) VALUES ({new_values(mark)})
            ON CONFLICT (id) DO UPDATE
            SET generation = excluded.generation, nonce_hash = excluded.nonce_hash,
                attempt_hash = excluded.attempt_hash, rotated_at = excluded.rotated_at,
                expires_at = excluded.expires_at, ends_at = excluded.ends_at, binding = excluded.binding,
                idle_ttl = excluded.idle_ttl, authentication = excluded.authentication
            WHERE here.revoked_at IS NULL AND here.generation <= excluded.generation
        """,
        put_record=f"""
            INSERT INTO {records} (kind, name, body) VALUES ({mark}, {mark}, {mark}) ON CONFLICT DO NOTHING
        """,
        replace_record=f"UPDATE {records} SET body = {mark} WHERE kind = {mark} AND name = {mark}",
        get_record=f"SELECT body FROM {records} WHERE kind = {mark} AND name = {mark}",
        list_records=f"SELECT name, body FROM {records} WHERE kind = {mark} ORDER BY name {bytewise}",
        delete_record=f"DELETE FROM {records} WHERE kind = {mark} AND name = {mark}",
        lock_subject=lock_subject,
        audit=audit_statements(mark, f"{prefix}audit"),
        many=many_statements(mark, prefix, position),
        returns=returns,
    )


def new_values(mark: str) -> str:
    """The values of a new session: all of SESSION_COLUMNS, those of its revocation null."""
    return ", ".join([*[mark] * 13, "NULL", "NULL", "NULL", *[mark] * 4])


def answers_to(
    groups: Iterable[tuple[type[Call[Any]], list[Any]]],
    connection: Connection,
    statements: Statements,
    advance: Callable[[Any, Sequence[Advance]], Sequence[Session | None]],
) -> list[Any]:
    """Run a batch that was split into runs of one kind. `advance` is the store's own statement for refreshes."""
    answers: list[Any] = []
    for kind, group in groups:
        if kind is Advance:
            answers += advance(connection, group)
        else:
            answers += [_ANSWER[kind](connection, statements, call) for call in group]
    return answers


def _create(connection: Connection, statements: Statements, call: Create) -> tuple[str, ...] | None:
    new = call.session
    ended: tuple[str, ...] = ()
    if call.limit is not None:
        if statements.lock_subject is not None:
            connection.execute(statements.lock_subject, (new.subject,))
        live = _list_subject(connection, statements, ListSubject(new.subject, new.created_at))
        giving_way = call.giving_way(live)
        if giving_way is None:
            return None
        for old in giving_way:
            _revoke(connection, statements, Revoke(old.id, new.created_at, "session_limit", "policy", call.audit))
        ended = tuple(old.id for old in giving_way)
    connection.execute(statements.create, row_of(new))
    note(connection, statements.audit, new, call.audit)
    return ended


def _get(connection: Connection, statements: Statements, call: Get) -> Session | None:
    row = connection.execute(statements.get, (bytes.fromhex(call.session_id),)).fetchone()
    return None if row is None else session_of(row)


def _revoke(connection: Connection, statements: Statements, call: Revoke) -> Session | None:
    arguments = (micros(call.now), call.reason, call.by, bytes.fromhex(call.session_id))
    ended = _changed(connection, statements, statements.revoke, arguments, call.session_id)
    if ended is None:
        return None
    note(connection, statements.audit, ended, call.audit)
    if statements.feed is not None and call.reason != CUTOFF:
        statements.feed(connection, ended)
    return ended


def _changed(
    connection: Connection, statements: Statements, change: str, arguments: tuple[Any, ...], session_id: str
) -> Session | None:
    """The session that an UPDATE changed, if it did."""
    cursor = connection.execute(change, arguments)
    if not statements.returns:
        return _get(connection, statements, Get(session_id)) if cursor.rowcount == 1 else None
    row = cursor.fetchone()
    return None if row is None else session_of(row)


def _shorten(connection: Connection, statements: Statements, call: Shorten) -> Session | None:
    idle, end, session_id = micros(call.idle_ttl), micros(call.ends_at), bytes.fromhex(call.session_id)
    session = _get(connection, statements, Get(call.session_id))
    if session is None:
        return None
    expires = min(end, micros(session.last_used_at) + idle)
    arguments = (idle, end, end, expires, expires, session_id, idle)
    return _changed(connection, statements, statements.shorten, arguments, call.session_id)


def _reauthenticate(connection: Connection, statements: Statements, call: Reauthenticate) -> Session | None:
    said, now = authentication_text(call.authentication), micros(call.authentication.at)
    arguments = (said, bytes.fromhex(call.session_id), now)
    return _changed(connection, statements, statements.reauthenticate, arguments, call.session_id)


def _revoke_subject(connection: Connection, statements: Statements, call: RevokeSubject) -> tuple[str, ...]:
    live = _list_subject(connection, statements, ListSubject(call.subject, call.now))
    chosen = [session.id for session in live if session.id != call.except_id]
    ended = {
        session_id
        for session_id in sorted(chosen)  # in the order in which a batch of refreshes locks them
        if _revoke(connection, statements, Revoke(session_id, call.now, call.reason, call.by, call.audit)) is not None
    }
    return tuple(session_id for session_id in chosen if session_id in ended)


def _list_subject(connection: Connection, statements: Statements, call: ListSubject) -> tuple[Session, ...]:
    rows = connection.execute(statements.list_subject, (call.subject, micros(call.now)))
    return tuple(session_of(row) for row in rows)


def _revoked_since(connection: Connection, statements: Statements, call: RevokedSince) -> Revocations:
    rows = connection.execute(statements.revoked_since, (call.position,)).fetchall()
    position = rows[-1][0] if rows else call.position
    return Revocations(position, tuple((id_.hex(), revoked_at / 1e6) for _, id_, revoked_at in rows))


def _purge(connection: Connection, statements: Statements, call: Purge) -> int:
    before = micros(call.before)
    connection.execute(statements.purge_feed, (before,))
    connection.execute(statements.audit.purge, (micros(call.now),))
    return int(connection.execute(statements.purge, (before, before, call.limit)).rowcount)


def _scan(connection: Connection, statements: Statements, call: Scan) -> Page:
    rows = connection.execute(statements.scan, (bytes.fromhex(call.cursor), call.limit))
    return page_of([session_of(row) for row in rows], call.limit)


def _restore(connection: Connection, statements: Statements, call: Restore) -> bool:
    session = call.session
    if statements.restore_new is None:
        return bool(connection.execute(statements.restore, row_of(session)).rowcount == 1)
    head, id_ = session.head, bytes.fromhex(session.id)
    newer = (
        head.generation, head.nonce_hash, head.attempt_hash, micros(head.rotated_at), micros(session.expires_at),
        micros(session.ends_at), session.binding, None if session.idle_ttl is None else micros(session.idle_ttl),
        authentication_text(session.authentication), id_, head.generation,
    )  # fmt: skip
    if connection.execute(statements.restore, newer).rowcount == 1:
        return True
    return bool(connection.execute(statements.restore_new, (*row_of(session), id_)).rowcount == 1)


def _put_record(connection: Connection, statements: Statements, call: PutRecord) -> bool:
    if call.replace:
        return bool(connection.execute(statements.replace_record, (call.body, call.kind, call.name)).rowcount == 1)
    return bool(connection.execute(statements.put_record, (call.kind, call.name, call.body)).rowcount == 1)


def _get_record(connection: Connection, statements: Statements, call: GetRecord) -> str | None:
    row = connection.execute(statements.get_record, (call.kind, call.name)).fetchone()
    return None if row is None else str(row[0])


def _list_records(connection: Connection, statements: Statements, call: ListRecords) -> tuple[tuple[str, str], ...]:
    return tuple(connection.execute(statements.list_records, (call.kind,)))


def _delete_record(connection: Connection, statements: Statements, call: DeleteRecord) -> bool:
    return bool(connection.execute(statements.delete_record, (call.kind, call.name)).rowcount == 1)


_ANSWER: dict[type[Call[Any]], Callable[[Connection, Statements, Any], Any]] = {
    Create: _create,
    Get: _get,
    Revoke: _revoke,
    Shorten: _shorten,
    Reauthenticate: _reauthenticate,
    RevokeSubject: _revoke_subject,
    ListSubject: _list_subject,
    ListAudit: lambda connection, statements, call: list_audit(connection, statements.audit, call),
    KeepAudit: lambda connection, statements, call: keep_audit(connection, statements.audit, call),
    ScanAudit: lambda connection, statements, call: scan_audit(connection, statements.audit, call),
    RevokedSince: _revoked_since,
    Survey: lambda connection, statements, call: survey(connection, statements.many, call),
    RevokeWhere: lambda connection, statements, call: revoke_where(connection, statements.many, call),
    ListLatest: lambda connection, statements, call: list_latest(connection, statements.many, call),
    CountAudit: lambda connection, statements, call: count_audit(connection, statements.many, call),
    Purge: _purge,
    Scan: _scan,
    Restore: _restore,
    PutRecord: _put_record,
    GetRecord: _get_record,
    ListRecords: _list_records,
    DeleteRecord: _delete_record,
}
