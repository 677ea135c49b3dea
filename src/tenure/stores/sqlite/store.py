"""SQLite, the embedded default: one file, several processes. Every result is durable.

Each process has one connection and one thread, fed by group commit. A batch is one transaction in WAL mode with
`synchronous=FULL`, so committed results survive a power cut. Processes wait a few seconds for SQLite's lock.

All refreshes of a batch are two statements: one reads the matching sessions, one writes them. The sqlite3 module
releases the GIL at every step of a statement, and beside a thread that signs tokens, getting it back costs more than
the statement itself: row by row was three times slower.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from tenure.core.calls import Advance, Call
from tenure.core.errors import ConfigurationError
from tenure.core.forking import survive_forks
from tenure.core.session import Session
from tenure.stores.group_commit import GroupCommit
from tenure.stores.listening import Heard
from tenure.stores.outages import unavailable
from tenure.stores.rows import authentication_from, micros, only_reads, runs
from tenure.stores.sql.statements import answers_to, dialect
from tenure.stores.sqlite.schema import open_file

T = TypeVar("T")

_NO_HASH = bytes(32)
_NOT_WRITTEN = "The session store can't be written right now. Try again shortly."

_STATEMENTS = dialect("?", position="instr")
# :said holds the JSON part of each refresh in a batch, :binary its four binary parts, concatenated.
_BATCH = """
    WITH batch AS MATERIALIZED (
        SELECT key AS place, value ->> 0 AS client_id, value ->> 1 AS old_generation, value ->> 2 AS generation,
               value ->> 3 AS rotated_at, value ->> 4 AS idle_deadline,
               substr(:binary, key * 112 + 1, 16) AS id, substr(:binary, key * 112 + 17, 32) AS old_hash,
               substr(:binary, key * 112 + 49, 32) AS nonce_hash,
               CASE value ->> 5 WHEN 1 THEN substr(:binary, key * 112 + 81, 32) END AS attempt_hash,
               value ->> 6 AS old_binding, value ->> 7 AS binding
        FROM json_each(:said)
    )
"""
_MATCHES = """
    sessions.id = batch.id AND sessions.generation = batch.old_generation AND sessions.nonce_hash = batch.old_hash
    AND sessions.client_id = batch.client_id AND revoked_at IS NULL AND expires_at > batch.rotated_at
    AND sessions.binding IS batch.old_binding
"""
_EXPIRES = "min(coalesce(batch.rotated_at + idle_ttl, batch.idle_deadline), ends_at)"
_READ_MATCHING = f"""
    {_BATCH} SELECT json_group_array(
        json_array(
            place, subject, scope, json(claims), device, created_at, {_EXPIRES}, ends_at, lifetime, idle_ttl,
            authentication
        )
    )
    FROM batch CROSS JOIN sessions ON {_MATCHES}
"""
_ADVANCE_MATCHING = f"""
    {_BATCH} UPDATE sessions
    SET generation = batch.generation, nonce_hash = batch.nonce_hash, attempt_hash = batch.attempt_hash,
        rotated_at = batch.rotated_at, expires_at = {_EXPIRES}, binding = batch.binding
    FROM batch WHERE {_MATCHES}
"""


class SqliteStore:
    """Sessions in a SQLite file. Raises SchemaTooNew or ConfigurationError on opening what it can't use."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._connection: sqlite3.Connection | None = open_file(self._path)
        self._commits = GroupCommit(self._commit, name="tenure-sqlite", release=self._release)
        survive_forks(self)

    def run(self, call: Call[T]) -> T:
        """Run one call; blocks the calling thread until it is durable."""
        return self._commits.run(call)

    async def arun(self, call: Call[T]) -> T:
        """Run one call; returns once it is durable."""
        return await self._commits.arun(call)

    def watch(self, heard: Heard) -> None:
        """Does nothing: other processes' revocations are polled."""

    def close(self) -> None:
        """Finish the waiting calls, then close the file."""
        self._commits.close()
        self._release()

    def open(self) -> None:
        """Open the file again after `close`. Raises as the constructor does."""
        if self._connection is None:
            self._connection = open_file(self._path)
        self._commits.open()

    def before_fork(self) -> None:
        """Close the file: SQLite tracks its locks by process, and a child would assume it held the parent's."""
        self._commits.pause(release=True)
        self._release()

    def after_fork_in_parent(self) -> None:
        """Continue; the next batch opens the file."""
        self._commits.resume()

    def after_fork_in_child(self) -> None:
        """Start over; the first batch opens the file."""
        self._commits.begin_anew()

    def _release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _commit(self, calls: Sequence[Call[Any]]) -> Sequence[Any]:
        try:
            return self._transaction(calls)
        except (sqlite3.OperationalError, ConfigurationError) as problem:
            return [unavailable(f"{self._path}: {problem}", _NOT_WRITTEN)] * len(calls)
        except Exception as problem:  # noqa: BLE001 - whatever one call did, it must not cost the others theirs
            if len(calls) == 1:
                damaged = isinstance(problem, sqlite3.DatabaseError)
                return [unavailable(f"{self._path}: {problem}", _NOT_WRITTEN) if damaged else problem]
            return [answer for call in calls for answer in self._commit([call])]

    def _transaction(self, calls: Sequence[Call[Any]]) -> Sequence[Any]:
        connection = self._connection = self._connection or open_file(self._path)
        connection.execute("BEGIN" if only_reads(calls) else "BEGIN IMMEDIATE")
        try:
            answers = answers_to(runs(calls), connection, _STATEMENTS, _advance)
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        return answers


def _advance(connection: sqlite3.Connection, calls: Sequence[Advance]) -> Sequence[Session | None]:
    """Run `calls`, at most one for each session."""
    said = json.dumps(
        [
            (
                call.client_id, call.expected_generation, call.head.generation, micros(call.head.rotated_at),
                micros(call.idle_deadline), call.head.attempt_hash is not None, call.expected_binding, call.binding,
            )
            for call in calls
        ]
    )  # fmt: skip
    binary = b"".join(
        [
            bytes.fromhex(call.session_id) + call.expected_hash + call.head.nonce_hash
            + (call.head.attempt_hash or _NO_HASH)
            for call in calls
        ]
    )  # fmt: skip
    batch = {"said": said, "binary": binary}
    answers: list[Session | None] = [None] * len(calls)
    for row in json.loads(connection.execute(_READ_MATCHING, batch).fetchone()[0]):
        place, subject, scope, claims, device, created_at, expires_at, ends_at, lifetime, idle_ttl, authentication = row
        call = calls[place]
        answers[place] = Session(
            call.session_id, subject, call.client_id, scope, claims, device, created_at / 1e6, expires_at / 1e6,
            ends_at / 1e6, call.head, binding=call.binding, lifetime=lifetime or "",
            idle_ttl=None if idle_ttl is None else idle_ttl / 1e6, authentication=authentication_from(authentication),
        )  # fmt: skip
    if any(answers):
        connection.execute(_ADVANCE_MATCHING, batch)
    return answers
