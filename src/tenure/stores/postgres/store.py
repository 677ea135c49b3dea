"""PostgreSQL, for several instances on one database. Every result is committed.

All refreshes of a batch are one statement, so one round trip and one commit serve up to 128 of them. Sessions are
locked in the order of their ids, so that instances rarely conflict. Every wait has a timeout of a few seconds.

Behind a pooler that reassigns connections after each transaction (PgBouncer, Odyssey, RDS Proxy), statements are not
prepared, as they would stay with a connection that others get, and the feed is polled, as LISTEN would be lost.
"""

import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg

from tenure.core.calls import Advance, Call
from tenure.core.errors import ConfigurationError
from tenure.core.session import Session
from tenure.stores.listening import Heard, Listener
from tenure.stores.outages import unavailable
from tenure.stores.postgres.schema import BoundedConnection, bring_forward, leave_to_parent, shares_server_connections
from tenure.stores.rows import micros, runs, session_of
from tenure.stores.sql.server import Fault, ServerStore
from tenure.stores.sql.statements import answers_to, dialect

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


class PostgresStore(ServerStore):
    """Sessions in a PostgreSQL database. Raises SchemaTooNew, ConfigurationError and StoreUnavailable on opening."""

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        super().__init__("tenure-postgres")
        self._url = url
        self._listener: Listener | None = None
        try:
            bring_forward(self._connected(), allowed=migrate)
        except BaseException:
            self.close()
            raise

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
        super().close()

    def after_fork_in_child(self) -> None:
        """Start over; the first batch connects."""
        self._listener = None
        super().after_fork_in_child()

    def _connect(self) -> BoundedConnection:
        try:
            return BoundedConnection.to(self._url)
        except psycopg.OperationalError as problem:
            raise unavailable(str(problem)) from None
        except psycopg.ProgrammingError:
            raise ConfigurationError("The store's URL is not one that PostgreSQL's client understands.") from None

    def _leave_to_parent(self, connection: BoundedConnection) -> None:
        leave_to_parent(connection)

    def _transaction(self, connection: BoundedConnection, calls: Sequence[Call[Any]]) -> Sequence[Any]:
        groups = list(runs(calls))
        if len(groups) == 1 and groups[0][0] is Advance:
            return _advance(connection, groups[0][1])  # one statement is a transaction by itself
        with connection.transaction():
            return answers_to(groups, connection, _STATEMENTS, _advance)

    def _fault(self, problem: Exception) -> Fault:
        if not isinstance(problem, psycopg.Error) or isinstance(problem, psycopg.DataError):
            return Fault.CALL
        if not isinstance(problem, psycopg.OperationalError | psycopg.InterfaceError):
            return Fault.SERVER
        # SQLSTATE class 40: deadlocks and serialization failures, CockroachDB's retry errors among them.
        return Fault.CONFLICT if (problem.sqlstate or "").startswith("40") else Fault.LOST


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
