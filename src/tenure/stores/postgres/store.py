"""PostgreSQL, for several instances on one database. Every result is committed.

Each process has one connection and one thread, fed by group commit. All refreshes of a batch are one statement, so one
round trip and one commit serve up to 128 of them. Sessions are locked in the order of their ids; if two instances still
conflict (a deadlock, a serialization failure), each call is retried alone. After a lost connection, the next batch
reconnects; until then, callers get StoreUnavailable. Every wait has a timeout of a few seconds.

Behind a pooler that reassigns connections after each transaction (PgBouncer, Odyssey, RDS Proxy), statements are not
prepared, as they would stay with a connection that others get, and the feed is polled, as LISTEN would be lost.
"""

import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Any, TypeVar

import psycopg

from tenure.core.calls import Advance, Call
from tenure.core.errors import ConfigurationError, StoreUnavailable
from tenure.core.forking import survive_forks
from tenure.core.session import Session
from tenure.stores.group_commit import GroupCommit
from tenure.stores.listening import Heard, Listener
from tenure.stores.outages import unavailable
from tenure.stores.postgres.schema import BoundedConnection, bring_forward, leave_to_parent, shares_server_connections
from tenure.stores.rows import micros, runs, session_of
from tenure.stores.sql.statements import answers_to, dialect

T = TypeVar("T")

_TRIES_ALONE = 5
_LISTEN_SECONDS = 0.5

_STATEMENTS = dialect(
    "%s",
    prefix="tenure_",
    lock_purged="FOR UPDATE SKIP LOCKED",
    bytewise='COLLATE "C"',
    lock_subject="SELECT pg_advisory_xact_lock(hashtext('tenure subject'), hashtext(%s))",
)
_ADVANCE = """
    UPDATE tenure_sessions AS s
    SET generation = batch.generation, nonce_hash = batch.nonce_hash, attempt_hash = nullif(batch.attempt_hash, ''),
        rotated_at = batch.rotated_at,
        expires_at = least(coalesce(batch.rotated_at + s.idle_ttl, batch.idle_deadline), s.ends_at),
        binding = nullif(batch.binding, '')
    FROM (
        SELECT * FROM unnest(
            %b::bytea[], %b::text[], %b::bigint[], %b::bytea[], %b::bigint[], %b::bytea[], %b::bytea[], %b::bigint[],
            %b::bigint[], %b::text[], %b::text[]
        ) AS call (
            id, client_id, old_generation, old_hash, generation, nonce_hash, attempt_hash, rotated_at, idle_deadline,
            old_binding, binding
        )
        ORDER BY id
    ) AS batch
    WHERE s.id = batch.id AND s.generation = batch.old_generation AND s.nonce_hash = batch.old_hash
        AND s.client_id = batch.client_id AND s.revoked_at IS NULL AND s.expires_at > batch.rotated_at
        AND s.binding IS NOT DISTINCT FROM nullif(batch.old_binding, '')
    RETURNING s.id, s.subject, s.client_id, s.scope, s.claims, s.device, s.created_at, s.expires_at, s.ends_at,
        s.generation, s.nonce_hash, s.attempt_hash, s.rotated_at, s.revoked_at, s.revoked_reason, s.revoked_by,
        s.binding, s.lifetime, s.idle_ttl, s.authentication
"""


class PostgresStore:
    """Sessions in a PostgreSQL database. Raises SchemaTooNew, ConfigurationError and StoreUnavailable on opening."""

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        self._url = url
        self._connection: BoundedConnection | None = None
        self._listener: Listener | None = None
        try:
            bring_forward(self._connected(), allowed=migrate)
        except BaseException:
            self._disconnect()
            raise
        self._commits = GroupCommit(self._commit, name="tenure-postgres", release=self._disconnect)
        survive_forks(self)

    def run(self, call: Call[T]) -> T:
        """Run one call; blocks the calling thread until it is committed."""
        return self._commits.run(call)

    async def arun(self, call: Call[T]) -> T:
        """Run one call; returns once it is committed."""
        return await self._commits.arun(call)

    def watch(self, heard: Heard) -> None:
        """Call `heard` with each revocation as it happens, over a separate connection."""

        def listen(closed: threading.Event) -> None:
            if shares_server_connections(self._url):
                closed.wait()  # LISTEN would receive nothing: the feed is polled
                return
            with closing(BoundedConnection.to(self._url)) as connection:
                connection.execute("LISTEN tenure_revoked")
                while not closed.is_set():
                    for news in connection.notifies(timeout=_LISTEN_SECONDS):
                        session_id, _, revoked_at = news.payload.partition(" ")
                        heard(session_id, int(revoked_at) / 1e6)

        if self._listener is None:
            self._listener = Listener(listen, (psycopg.Error, OSError), name="tenure-postgres-news")

    def close(self) -> None:
        """Finish the waiting calls, then close the connections."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._commits.close()
        self._disconnect()

    def open(self) -> None:
        """Accept calls again after `close`; the first one connects."""
        self._commits.open()

    def before_fork(self) -> None:
        """Wait for the batch in progress. The child does not touch the parent's connections."""
        self._commits.pause()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._commits.resume()

    def after_fork_in_child(self) -> None:
        """Start over; the first batch connects."""
        if self._connection is not None:
            leave_to_parent(self._connection)
        self._connection = self._listener = None
        self._commits.begin_anew()

    def _connected(self) -> BoundedConnection:
        if self._connection is None:
            try:
                self._connection = BoundedConnection.to(self._url)
            except psycopg.OperationalError as problem:
                raise unavailable(str(problem)) from None
            except psycopg.ProgrammingError:
                raise ConfigurationError("The store's URL is not one that PostgreSQL's client understands.") from None
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
            # It is unknown whether the batch was committed. Callers retry, which gives the right result in both cases.
            self._disconnect()
            return [unavailable(str(problem))] * len(calls)
        except StoreUnavailable as problem:
            return [problem] * len(calls)
        except Exception as problem:  # noqa: BLE001 - whatever one call did, it must not cost the others theirs
            if len(calls) > 1:
                return [answer for call in calls for answer in self._commit([call])]
            return [unavailable(str(problem)) if _of_the_server(problem) else problem]

    def _alone(self, call: Call[Any]) -> Any:
        for _ in range(_TRIES_ALONE):
            try:
                return _transaction(self._connected(), [call])[0]
            except psycopg.OperationalError as problem:
                if not _in_each_others_way(problem):
                    self._disconnect()
                    return unavailable(str(problem))
            except StoreUnavailable as problem:
                return problem
        return unavailable("too many transactions conflict")


def _of_the_server(problem: Exception) -> bool:
    """Whether the server would fail for every call (read-only, tables missing, no permission)."""
    return isinstance(problem, psycopg.Error) and not isinstance(problem, psycopg.DataError)


def _in_each_others_way(problem: psycopg.Error) -> bool:
    """Deadlocks and serialisation failures, CockroachDB's retry errors among them: SQLSTATE class 40."""
    return (problem.sqlstate or "").startswith("40")


def _transaction(connection: BoundedConnection, calls: Sequence[Call[Any]]) -> Sequence[Any]:
    groups = list(runs(calls))
    if len(groups) == 1 and groups[0][0] is Advance:
        return _advance(connection, groups[0][1])  # one statement is a transaction by itself
    with connection.transaction():
        return answers_to(groups, connection, _STATEMENTS, _advance)


def _advance(connection: BoundedConnection, calls: Sequence[Advance]) -> Sequence[Session | None]:
    """Run `calls`, at most one for each session."""
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
        [call.expected_binding or "" for call in calls],
        [call.binding or "" for call in calls],
    ]
    with connection.cursor(binary=True) as cursor:
        moved = {session.id: session for session in map(session_of, cursor.execute(_ADVANCE, columns))}
    return [moved.get(call.session_id) for call in calls]
