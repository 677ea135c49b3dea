"""PostgreSQL, where one machine is not enough: several instances on one database, every answer committed.

One connection and one thread a process, fed by group commit: all refreshes of a batch are one statement, so that one
round trip and one commit serve up to 128 of them. Sessions are locked in the order of their ids; where two instances
still get in each other's way (a deadlock, a serialisation failure), each call is tried again alone. A lost connection
is made anew at the next batch; until then, callers are told that the store is unavailable. Nothing is waited for
longer than a few seconds.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg

from tenure.errors import StoreUnavailable
from tenure.stores.group_commit import GroupCommit
from tenure.stores.postgres_schema import BoundedConnection, migrate
from tenure.stores.protocol import (
    Advance,
    Call,
    Create,
    DeleteRecord,
    Get,
    GetRecord,
    ListRecords,
    ListSubject,
    Purge,
    PutRecord,
    Revocations,
    Revoke,
    RevokedSince,
    RevokeSubject,
    Session,
)
from tenure.stores.rows import SESSION_COLUMNS, micros, row_of, runs, session_of

T = TypeVar("T")

_TRIES_ALONE = 5

_CREATE = f"INSERT INTO tenure_sessions ({SESSION_COLUMNS}) VALUES ({', '.join(['%s'] * 13)}, NULL, NULL, NULL)"
_LOCK_SUBJECT = "SELECT pg_advisory_xact_lock(hashtext('tenure subject'), hashtext(%s))"
_ADVANCE = """
    UPDATE tenure_sessions AS s
    SET generation = batch.generation, nonce_hash = batch.nonce_hash, attempt_hash = nullif(batch.attempt_hash, ''),
        rotated_at = batch.rotated_at, expires_at = least(batch.idle_deadline, s.ends_at)
    FROM (
        SELECT * FROM unnest(
            %b::bytea[], %b::text[], %b::bigint[], %b::bytea[], %b::bigint[], %b::bytea[], %b::bytea[], %b::bigint[],
            %b::bigint[]
        ) AS call (
            id, client_id, old_generation, old_hash, generation, nonce_hash, attempt_hash, rotated_at, idle_deadline
        )
        ORDER BY id
    ) AS batch
    WHERE s.id = batch.id AND s.generation = batch.old_generation AND s.nonce_hash = batch.old_hash
        AND s.client_id = batch.client_id AND s.revoked_at IS NULL AND s.expires_at > batch.rotated_at
    RETURNING s.id, s.subject, s.client_id, s.scope, s.claims, s.device, s.created_at, s.expires_at, s.ends_at,
        s.generation, s.nonce_hash, s.attempt_hash, s.rotated_at, s.revoked_at, s.revoked_reason, s.revoked_by
"""
_GET = f"SELECT {SESSION_COLUMNS} FROM tenure_sessions WHERE id = %s"
_REVOKE = f"""
    UPDATE tenure_sessions SET revoked_at = %s, revoked_reason = %s, revoked_by = %s
    WHERE id = %s AND revoked_at IS NULL
    RETURNING {SESSION_COLUMNS}
"""
_LIST_SUBJECT = f"""
    SELECT {SESSION_COLUMNS} FROM tenure_sessions
    WHERE subject = %s AND revoked_at IS NULL AND expires_at > %s
    ORDER BY created_at, id
"""
_REVOKED_SINCE = "SELECT position, id, revoked_at FROM tenure_revocations WHERE position > %s ORDER BY position"
_PURGE = """
    DELETE FROM tenure_sessions WHERE id IN (
        SELECT id FROM tenure_sessions WHERE expires_at < %s OR revoked_at < %s LIMIT %s FOR UPDATE SKIP LOCKED
    )
"""
_PURGE_FEED = "DELETE FROM tenure_revocations WHERE revoked_at < %s"
_PUT_RECORD = "INSERT INTO tenure_records (kind, name, body) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_REPLACE_RECORD = "UPDATE tenure_records SET body = %s WHERE kind = %s AND name = %s"
_GET_RECORD = "SELECT body FROM tenure_records WHERE kind = %s AND name = %s"
_LIST_RECORDS = """SELECT name, body FROM tenure_records WHERE kind = %s ORDER BY name COLLATE "C" """
_DELETE_RECORD = "DELETE FROM tenure_records WHERE kind = %s AND name = %s"


class PostgresStore:
    """Sessions in a PostgreSQL database. Raises SchemaTooNew, ConfigurationError and StoreUnavailable on opening."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: BoundedConnection | None = None
        try:
            migrate(self._connected())
        except BaseException:
            self._disconnect()
            raise
        self._commits = GroupCommit(self._commit, name="tenure-postgres")

    def run(self, call: Call[T]) -> T:
        """Answer one call; blocks the calling thread until the answer is committed."""
        return self._commits.run(call)

    async def arun(self, call: Call[T]) -> T:
        """Answer one call once the answer is committed."""
        return await self._commits.arun(call)

    def close(self) -> None:
        """Answer what waits already, then close the connection."""
        self._commits.close()
        self._disconnect()

    def _connected(self) -> BoundedConnection:
        if self._connection is None:
            try:
                self._connection = BoundedConnection.to(self._url)
            except psycopg.OperationalError:
                raise StoreUnavailable("The session store can't be reached right now.") from None
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _commit(self, calls: Sequence[Call[Any]]) -> Sequence[Any]:
        try:
            return _transaction(self._connected(), calls)
        except (psycopg.OperationalError, psycopg.InterfaceError) as problem:
            if _in_each_others_way(problem):
                return [self._alone(call) for call in calls]
            # Whether the batch was committed is not known: its callers try again, and what they get then is right.
            self._disconnect()
            return [StoreUnavailable()] * len(calls)
        except StoreUnavailable as problem:
            return [problem] * len(calls)
        except Exception as problem:  # noqa: BLE001 - whatever one call did, it must not cost the others theirs
            return [problem] if len(calls) == 1 else [answer for call in calls for answer in self._commit([call])]

    def _alone(self, call: Call[Any]) -> Any:
        for _ in range(_TRIES_ALONE):
            try:
                return _transaction(self._connected(), [call])[0]
            except psycopg.OperationalError as problem:
                if not _in_each_others_way(problem):
                    self._disconnect()
                    break
            except StoreUnavailable as problem:
                return problem
        return StoreUnavailable()


def _in_each_others_way(problem: psycopg.Error) -> bool:
    """Deadlocks and serialisation failures, CockroachDB's retry errors among them: SQLSTATE class 40."""
    return (problem.sqlstate or "").startswith("40")


def _transaction(connection: BoundedConnection, calls: Sequence[Call[Any]]) -> Sequence[Any]:
    groups = list(runs(calls))
    if len(groups) == 1 and groups[0][0] is Advance:
        return _advance(connection, groups[0][1])  # one statement is a transaction by itself
    answers: list[Any] = []
    with connection.transaction():
        for kind, group in groups:
            if kind is Advance:
                answers += _advance(connection, group)
            else:
                answers += [_ANSWER[kind](connection, call) for call in group]
    return answers


def _advance(connection: BoundedConnection, calls: Sequence[Advance]) -> Sequence[Session | None]:
    """All of `calls`, no two of which are for one session."""
    columns = [
        [bytes.fromhex(call.session_id) for call in calls],
        [call.client_id for call in calls],
        [call.expected_generation for call in calls],
        [call.expected_hash for call in calls],
        [call.head.generation for call in calls],
        [call.head.nonce_hash for call in calls],
        [call.head.attempt_hash or b"" for call in calls],
        [micros(call.head.rotated_at) for call in calls],
        [micros(call.idle_deadline) for call in calls],
    ]
    with connection.cursor(binary=True) as cursor:
        moved = {session.id: session for session in map(session_of, cursor.execute(_ADVANCE, columns))}
    return [moved.get(call.session_id) for call in calls]


def _create(connection: BoundedConnection, call: Create) -> tuple[str, ...] | None:
    new = call.session
    ended: tuple[str, ...] = ()
    if call.limit is not None:
        connection.execute(_LOCK_SUBJECT, [new.subject])  # two logins at once are counted one after the other
        live = _list_subject(connection, ListSubject(new.subject, new.created_at))
        too_many = live[: max(0, len(live) - call.limit + 1)]
        if too_many and not call.end_oldest:
            return None
        for old in too_many:
            _revoke(connection, Revoke(old.id, new.created_at, "session_limit", "policy"))
        ended = tuple(old.id for old in too_many)
    connection.execute(_CREATE, row_of(new))
    return ended


def _get(connection: BoundedConnection, call: Get) -> Session | None:
    row = connection.execute(_GET, [bytes.fromhex(call.session_id)]).fetchone()
    return None if row is None else session_of(row)


def _revoke(connection: BoundedConnection, call: Revoke) -> Session | None:
    arguments = [micros(call.now), call.reason, call.by, bytes.fromhex(call.session_id)]
    row = connection.execute(_REVOKE, arguments).fetchone()
    return None if row is None else session_of(row)


def _revoke_subject(connection: BoundedConnection, call: RevokeSubject) -> tuple[str, ...]:
    live = _list_subject(connection, ListSubject(call.subject, call.now))
    chosen = [session.id for session in live if session.id != call.except_id]
    ended = {
        session_id
        for session_id in sorted(chosen)
        if _revoke(connection, Revoke(session_id, call.now, call.reason, call.by)) is not None
    }
    return tuple(session_id for session_id in chosen if session_id in ended)


def _list_subject(connection: BoundedConnection, call: ListSubject) -> tuple[Session, ...]:
    return tuple(session_of(row) for row in connection.execute(_LIST_SUBJECT, [call.subject, micros(call.now)]))


def _revoked_since(connection: BoundedConnection, call: RevokedSince) -> Revocations:
    rows = connection.execute(_REVOKED_SINCE, [call.position]).fetchall()
    position = rows[-1][0] if rows else call.position
    return Revocations(position, tuple((id_.hex(), revoked_at / 1e6) for _, id_, revoked_at in rows))


def _purge(connection: BoundedConnection, call: Purge) -> int:
    before = micros(call.before)
    connection.execute(_PURGE_FEED, [before])
    return connection.execute(_PURGE, [before, before, call.limit]).rowcount


def _put_record(connection: BoundedConnection, call: PutRecord) -> bool:
    if call.replace:
        return connection.execute(_REPLACE_RECORD, [call.body, call.kind, call.name]).rowcount == 1
    return connection.execute(_PUT_RECORD, [call.kind, call.name, call.body]).rowcount == 1


def _get_record(connection: BoundedConnection, call: GetRecord) -> str | None:
    row = connection.execute(_GET_RECORD, [call.kind, call.name]).fetchone()
    return None if row is None else str(row[0])


def _list_records(connection: BoundedConnection, call: ListRecords) -> tuple[tuple[str, str], ...]:
    return tuple(connection.execute(_LIST_RECORDS, [call.kind]))


def _delete_record(connection: BoundedConnection, call: DeleteRecord) -> bool:
    return connection.execute(_DELETE_RECORD, [call.kind, call.name]).rowcount == 1


_ANSWER: dict[type[Call[Any]], Callable[[BoundedConnection, Any], Any]] = {
    Create: _create,
    Get: _get,
    Revoke: _revoke,
    RevokeSubject: _revoke_subject,
    ListSubject: _list_subject,
    RevokedSince: _revoked_since,
    Purge: _purge,
    PutRecord: _put_record,
    GetRecord: _get_record,
    ListRecords: _list_records,
    DeleteRecord: _delete_record,
}
