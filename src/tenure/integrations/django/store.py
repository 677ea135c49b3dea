"""Sessions in one of Django's own databases (PostgreSQL, MySQL or SQLite), behind the protocol of every store.

It has its own thread, and so its own connection, fed by group commit. A rotation is committed even if the view's
transaction is rolled back (ATOMIC_REQUESTS). SQLite allows only one writing transaction, so a view that has written and
then waits for tenure would wait for itself. With SQLite only, a call within a transaction is therefore made in that
transaction.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from django.db import DatabaseError, DataError, OperationalError, connections, transaction

from tenure.core.calls import Advance, Call
from tenure.core.forking import survive_forks
from tenure.core.session import Session
from tenure.stores.group_commit import GroupCommit
from tenure.stores.mysql.statements import advance_in, mysql_dialect
from tenure.stores.outages import unavailable
from tenure.stores.rows import SESSION_COLUMNS, micros, only_reads, runs, session_of
from tenure.stores.sql.statements import Statements, answers_to, dialect

T = TypeVar("T")

PREFIX = "tenure_django_"

_ADVANCE = f"""
    UPDATE {PREFIX}sessions
    SET generation = %s, nonce_hash = %s, attempt_hash = %s, rotated_at = %s,
        expires_at = CASE WHEN ends_at < coalesce(%s + idle_ttl, %s) THEN ends_at ELSE coalesce(%s + idle_ttl, %s) END,
        binding = nullif(%s, '')
    WHERE id = %s AND generation = %s AND nonce_hash = %s AND client_id = %s AND revoked_at IS NULL AND expires_at > %s
        AND coalesce(binding, '') = %s
    RETURNING {SESSION_COLUMNS}
"""


class DjangoStore:
    """Sessions in the database `alias` of settings.DATABASES."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._vendor = connections[alias].vendor
        self._statements = _statements(self._vendor)
        self._advance = partial(advance_in, PREFIX) if self._vendor == "mysql" else _advance
        self._commits = GroupCommit(self._commit, name="tenure-django", release=lambda: connections[alias].close())
        survive_forks(self)

    def run(self, call: Call[T]) -> T:
        """Run one call; blocks the calling thread until it is committed."""
        if self._vendor == "sqlite" and connections[self._alias].in_atomic_block:
            (answer,) = self._commit([call])
            if isinstance(answer, Exception):
                raise answer
            found: T = answer
            return found
        return self._commits.run(call)

    async def arun(self, call: Call[T]) -> T:
        """Run one call; returns once it is committed."""
        return await self._commits.arun(call)

    def watch(self, heard: Callable[[str, float], None]) -> None:
        """Does nothing: other processes' revocations are polled."""

    def close(self) -> None:
        """Finish the waiting calls."""
        self._commits.close()

    def open(self) -> None:
        """Accept calls again after `close`."""
        self._commits.open()

    def before_fork(self) -> None:
        """With SQLite, close this thread's connection: a child would assume it held the parent's locks."""
        self._commits.pause(release=self._vendor == "sqlite")

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._commits.resume()

    def after_fork_in_child(self) -> None:
        """Start over, in a new thread with its own connection."""
        self._commits.begin_anew()

    def _commit(self, calls: Sequence[Call[Any]]) -> Sequence[Any]:
        connection = connections[self._alias]
        try:
            if self._vendor == "sqlite" and not connection.in_atomic_block:
                # SQLite fails at once if a transaction that has read wants to write after another process has written.
                connection.ensure_connection()
                connection.transaction_mode = None if only_reads(calls) else "IMMEDIATE"
            with transaction.atomic(using=self._alias):
                return answers_to(runs(calls), _Executor(connection), self._statements, self._advance)
        except OperationalError as problem:
            if not connection.in_atomic_block:
                connection.close()  # the next batch reconnects
            return [unavailable(str(problem))] * len(calls)
        except (DatabaseError, ValueError, TypeError) as problem:
            # One call's failure must not affect the others.
            if len(calls) > 1:
                return [answer for call in calls for answer in self._commit([call])]
            of_the_server = isinstance(problem, DatabaseError) and not isinstance(problem, DataError)
            return [unavailable(str(problem)) if of_the_server else problem]
        finally:
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()


class _Executor:
    """Django's connection with the interface that the statements expect: `execute` returns a cursor."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str, arguments: Sequence[Any]) -> Any:
        cursor = self._connection.cursor()
        if self._connection.vendor == "mysql":
            statement = _binary_marked(statement, arguments)
        cursor.execute(statement, list(arguments))
        return cursor


def _binary_marked(statement: str, arguments: Sequence[Any]) -> str:
    """Mark bytes as such, which MySQL's drivers don't do by themselves, as Django does for its own fields."""
    parts = statement.split("%s")
    marks = ["_binary %s" if isinstance(one, bytes) else "%s" for one in arguments]
    return "".join(part + mark for part, mark in zip(parts, [*marks, ""], strict=True))


def _statements(vendor: str) -> Statements:
    if vendor == "mysql":
        return mysql_dialect(PREFIX)
    if vendor == "postgresql":
        lock = "SELECT pg_advisory_xact_lock(hashtext('tenure subject'), hashtext(%s))"
        return dialect(
            "%s", prefix=PREFIX, lock_purged="FOR UPDATE SKIP LOCKED", bytewise='COLLATE "C"', lock_subject=lock
        )
    return dialect("%s", prefix=PREFIX, position="instr")


def _advance(connection: _Executor, calls: Sequence[Advance]) -> Sequence[Session | None]:
    moved = []
    for call in calls:
        head, now = call.head, micros(call.head.rotated_at)
        deadlines = (now, micros(call.idle_deadline)) * 2
        new = (head.generation, head.nonce_hash, head.attempt_hash, now, *deadlines, call.binding or "")
        family = (bytes.fromhex(call.session_id), call.expected_generation, call.expected_hash, call.client_id)
        expected = (*family, now, call.expected_binding or "")
        row = connection.execute(_ADVANCE, (*new, *expected)).fetchone()
        moved.append(None if row is None else session_of(row))
    return moved
