"""Statements over all sessions: count them, end matching ones, list the latest.

They proceed in steps along the primary key, or along the index of logins, so that a step takes milliseconds in a store
of any size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenure.core.calls import CountAudit, Counts, ListLatest, RevokeWhere, Survey, Swept
from tenure.core.session import Page, Which
from tenure.stores.rows import SESSION_COLUMNS, examined_for, latest_cursor, latest_from, micros, part_of, session_of
from tenure.stores.sql.audit import COLUMNS


@dataclass(frozen=True, slots=True)
class ManyStatements:
    """The statements in one dialect."""

    step: str
    survey: str
    note_where: str
    revoke_where: str
    latest: str
    latest_step: str
    count_audit: str


def many_statements(mark: str, prefix: str, position: str) -> ManyStatements:
    """The statements in a dialect. mark: the parameter marker. prefix: of table names. position: the function that
    finds a substring."""
    sessions, audit = f"{prefix}sessions", f"{prefix}audit"
    meant = f"""
        revoked_at IS NULL AND expires_at > {mark} AND created_at < {mark}
        AND ({mark} = '' OR client_id = {mark}) AND {position}(device, {mark}) > 0
    """
    some = f"id > {mark} AND id <= {mark}"
    earlier = f"created_at <= {mark} AND (created_at, id) < ({mark}, {mark})"  # MySQL seeks by the first only
    return ManyStatements(
        step=f"SELECT id FROM {sessions} WHERE id > {mark} ORDER BY id LIMIT 1 OFFSET {mark}",
        survey=f"""
            SELECT client_id, count(*), sum(CASE WHEN generation > 0 AND rotated_at > {mark} THEN 1 ELSE 0 END)
            FROM {sessions} WHERE {some} AND {meant} GROUP BY client_id
        """,
        note_where=f"""
            INSERT INTO {audit} ({COLUMNS})
            SELECT subject, {mark}, {mark}, 'revoked', id, client_id, device, {mark}, {mark}, {mark},
                CASE substr(binding, 1, 5) WHEN 'dpop:' THEN 'key' WHEN 'dbsc:' THEN 'device' END
            FROM {sessions} WHERE {some} AND {meant}
        """,
        revoke_where=f"""
            UPDATE {sessions} SET revoked_at = {mark}, revoked_reason = {mark}, revoked_by = {mark}
            WHERE {some} AND {meant}
        """,
        latest=f"""
            SELECT {SESSION_COLUMNS} FROM (
                SELECT * FROM {sessions} WHERE {earlier} ORDER BY created_at DESC, id DESC LIMIT {mark}
            ) AS late
            WHERE {meant} ORDER BY created_at DESC, id DESC LIMIT {mark}
        """,
        latest_step=f"""
            SELECT created_at, id FROM {sessions} WHERE {earlier}
            ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET {mark}
        """,
        count_audit=f"SELECT kind, coalesce(reason, ''), count(*) FROM {audit} WHERE at > {mark} GROUP BY 1, 2",
    )


_LAST_ID = bytes([255]) * 17


def survey(connection: Any, statements: ManyStatements, call: Survey) -> Counts:
    """Count the live sessions of one step."""
    end, cursor = _step(connection, statements, call.cursor, call.limit)
    arguments = (micros(call.since), bytes.fromhex(call.cursor), end, *_meant(call.which, call.now))
    rows = connection.execute(statements.survey, arguments).fetchall()
    by_client = {client_id: int(live) for client_id, live, _ in rows}
    refreshed = sum(int(refreshed) for *_, refreshed in rows)
    return Counts(sum(by_client.values()), refreshed, by_client, cursor, part_of(cursor))


def revoke_where(connection: Any, statements: ManyStatements, call: RevokeWhere) -> Swept:
    """End the matching sessions of one step."""
    end, cursor = _step(connection, statements, call.cursor, call.limit)
    chosen = (bytes.fromhex(call.cursor), end, *_meant(call.which, call.now))
    now = micros(call.now)
    if call.audit is not None:
        entry = (micros(call.audit.until), now, call.audit.address, call.reason, call.by)
        connection.execute(statements.note_where, (*entry, *chosen))
    ended = connection.execute(statements.revoke_where, (now, call.reason, call.by, *chosen)).rowcount
    return Swept(int(ended), cursor, part_of(cursor))


def list_latest(connection: Any, statements: ManyStatements, call: ListLatest) -> Page:
    """A page of the latest sessions."""
    created_at, session_id = latest_from(call.cursor)
    begin = (created_at, created_at, bytes.fromhex(session_id))
    examined = examined_for(call.limit)
    arguments = (*begin, examined, *_meant(call.which, call.now), call.limit)
    found = [session_of(row) for row in connection.execute(statements.latest, arguments)]
    if len(found) == call.limit:
        cursor = latest_cursor(micros(found[-1].created_at), found[-1].id)
    else:
        last = connection.execute(statements.latest_step, (*begin, examined - 1)).fetchone()
        cursor = "" if last is None else latest_cursor(last[0], bytes(last[1]).hex())
    return Page(tuple(found), cursor, 1.0)


def count_audit(connection: Any, statements: ManyStatements, call: CountAudit) -> Mapping[tuple[str, str], int]:
    """Count logins and ends since a moment."""
    rows = connection.execute(statements.count_audit, (micros(call.since),))
    return {(kind, reason): int(count) for kind, reason, count in rows}


def _step(connection: Any, statements: ManyStatements, cursor: str, limit: int) -> tuple[bytes, str]:
    """The last id of a step, and the next cursor."""
    row = connection.execute(statements.step, (bytes.fromhex(cursor), limit - 1)).fetchone()
    return (_LAST_ID, "") if row is None else (bytes(row[0]), bytes(row[0]).hex())


def _meant(which: Which, now: float) -> tuple[Any, ...]:
    return micros(now), micros(which.before), which.client_id, which.client_id, which.device
