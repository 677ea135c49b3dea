"""The statements in MySQL's and MariaDB's dialect, for tenure's own tables and for Django's.

Neither server can return the rows that an UPDATE changed. A batch of refreshes is therefore two statements: one locks
and reads its sessions in the order of their ids, one writes those that match. The feed of revocations is written by the
statements too, as a trigger would need a privilege that managed servers do not give away. Instead of advisory locks,
which belong to a connection and not to a transaction, rows of two small tables are locked.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tenure.core.calls import Advance
from tenure.core.session import Session
from tenure.stores.rows import SESSION_COLUMNS, micros, session_of
from tenure.stores.sql.statements import Connection, Statements, dialect, new_values

SUBJECT_LOCKS = 256
"""How many rows the table of locks has; logins of subjects that share one wait for each other."""


def exact_collation(server_version: str) -> str:
    """The collation that compares byte by byte, trailing spaces included, which the two servers name differently."""
    return "utf8mb4_nopad_bin" if "mariadb" in server_version.lower() else "utf8mb4_0900_bin"


def lock_tables(prefix: str) -> tuple[str, ...]:
    """What makes the two tables whose rows are locked: by what gives the feed's positions, and by logins."""
    feed, locks = f"{prefix}feed", f"{prefix}locks"
    return (
        f"CREATE TABLE IF NOT EXISTS {feed} (one tinyint PRIMARY KEY, position bigint NOT NULL) ENGINE = InnoDB",
        f"INSERT IGNORE INTO {feed} VALUES (1, 0)",
        f"CREATE TABLE IF NOT EXISTS {locks} (number smallint PRIMARY KEY) ENGINE = InnoDB",
        f"INSERT IGNORE INTO {locks} VALUES {', '.join(f'({number})' for number in range(SUBJECT_LOCKS))}",
    )


def mysql_dialect(prefix: str) -> Statements:
    """The statements. prefix: of table names."""
    sessions, records = f"{prefix}sessions", f"{prefix}records"

    def feed(connection: Connection, ended: Session) -> None:
        # The row stays locked until the commit, so that no position is seen before an earlier one. It is a moment, or
        # the one after the last where that is later: a replica that takes over never gives a position a second time.
        now = "floor(unix_timestamp(sysdate(6)) * 1000000)"
        connection.execute(
            f"UPDATE {prefix}feed SET position = greatest(position + 1, {now})",
            (),
        )
        connection.execute(
            f"INSERT INTO {prefix}revocations (position, id, revoked_at) SELECT position, %s, %s FROM {prefix}feed",
            (bytes.fromhex(ended.id), micros(ended.revoked_at or 0)),
        )

    common = dialect(
        "%s",
        prefix=prefix,
        position="instr",
        returns=False,
        lock_subject=f"SELECT number FROM {prefix}locks WHERE number = mod(crc32(%s), {SUBJECT_LOCKS}) FOR UPDATE",
    )
    return replace(
        common,
        feed=feed,
        purge=f"DELETE FROM {sessions} WHERE expires_at < %s OR revoked_at < %s LIMIT %s",
        restore=f"""
            UPDATE {sessions}
            SET generation = %s, nonce_hash = %s, attempt_hash = %s, rotated_at = %s, expires_at = %s, ends_at = %s,
                binding = %s, idle_ttl = %s, authentication = %s
            WHERE id = %s AND revoked_at IS NULL AND generation <= %s
        """,
        restore_new=f"""
            INSERT INTO {sessions} ({SESSION_COLUMNS})
            SELECT {new_values("%s")} FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM {sessions} WHERE id = %s)
        """,
        put_record=f"INSERT IGNORE INTO {records} (kind, name, body) VALUES (%s, %s, %s)",
    )


def advance_in(prefix: str, connection: Connection, calls: Sequence[Advance]) -> Sequence[Session | None]:
    """Run `calls`, at most one for each session."""
    ids = [bytes.fromhex(call.session_id) for call in calls]
    among = ", ".join(["%s"] * len(ids))
    rows = connection.execute(
        f"SELECT {SESSION_COLUMNS} FROM {prefix}sessions WHERE id IN ({among}) ORDER BY id FOR UPDATE", ids
    )
    found = {session.id: session for session in map(session_of, rows)}
    answers = [_moved(found.get(call.session_id), call) for call in calls]
    moved = [_written(session) for session in answers if session is not None]
    if moved:
        connection.execute(_write(prefix), (json.dumps(moved),))
    return answers


def _moved(session: Session | None, call: Advance) -> Session | None:
    """The session after the refresh; None if the call does not match it."""
    if session is None or session.revoked_at is not None or session.expires_at <= call.head.rotated_at:
        return None
    expected = (call.expected_generation, call.expected_hash, call.client_id, call.expected_binding)
    if (session.head.generation, session.head.nonce_hash, session.client_id, session.binding) != expected:
        return None
    deadline = call.idle_deadline if session.idle_ttl is None else call.head.rotated_at + session.idle_ttl
    return replace(session, head=call.head, expires_at=min(deadline, session.ends_at), binding=call.binding)


def _written(session: Session) -> list[Any]:
    head = session.head
    attempt = None if head.attempt_hash is None else head.attempt_hash.hex()
    times = (micros(head.rotated_at), micros(session.expires_at))
    return [session.id, head.generation, head.nonce_hash.hex(), attempt, *times, session.binding]


def _write(prefix: str) -> str:
    return f"""
        UPDATE {prefix}sessions AS s JOIN JSON_TABLE(%s, '$[*]' COLUMNS (
            id char(32) PATH '$[0]', generation bigint PATH '$[1]', nonce_hash char(64) PATH '$[2]',
            attempt_hash char(64) PATH '$[3]', rotated_at bigint PATH '$[4]', expires_at bigint PATH '$[5]',
            binding varchar(255) PATH '$[6]'
        )) AS batch ON s.id = unhex(batch.id)
        SET s.generation = batch.generation, s.nonce_hash = unhex(batch.nonce_hash),
            s.attempt_hash = unhex(batch.attempt_hash), s.rotated_at = batch.rotated_at,
            s.expires_at = batch.expires_at, s.binding = batch.binding
    """
