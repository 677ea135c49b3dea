"""The statements of the audit trail: one row for each session that began or ended."""

from dataclasses import dataclass
from typing import Any

from tenure.core.calls import Audit, AuditPage, KeepAudit, ListAudit, ScanAudit
from tenure.core.session import AuditEntry, Session
from tenure.stores.rows import entry_of, micros

COLUMNS = "subject, kept_until, at, kind, session_id, client_id, device, address, reason, by_whom, bound"


@dataclass(frozen=True, slots=True)
class AuditStatements:
    """The statements in one dialect."""

    note: str
    keep: str
    scan: str
    list_: str
    purge: str


def audit_statements(mark: str, audit: str) -> AuditStatements:
    """The statements in a dialect. mark: the parameter marker. audit: the table's name."""
    return AuditStatements(
        note=f"INSERT INTO {audit} ({COLUMNS}) VALUES ({', '.join([mark] * 11)})",
        keep=f"""
            INSERT INTO {audit} ({COLUMNS}) SELECT {", ".join([mark] * 11)} WHERE NOT EXISTS (
                SELECT 1 FROM {audit} WHERE subject = {mark} AND at = {mark} AND session_id = {mark} AND kind = {mark}
            )
        """,
        scan=f"SELECT {audit}.row, {COLUMNS} FROM {audit} WHERE {audit}.row > {mark} ORDER BY {audit}.row LIMIT {mark}",
        list_=f"""
            SELECT at, kind, session_id, client_id, device, address, reason, by_whom, bound FROM {audit}
            WHERE subject = {mark} AND kept_until > {mark} ORDER BY at DESC, session_id LIMIT {mark}
        """,
        purge=f"DELETE FROM {audit} WHERE kept_until <= {mark}",
    )


def note(connection: Any, statements: AuditStatements, changed: Session, audit: Audit | None) -> None:
    """Leave an entry for a session that has just begun or ended, if one is wanted."""
    if audit is not None:
        connection.execute(statements.note, _row(changed.subject, audit.until, entry_of(changed, audit)))


def _row(subject: str, until: float, entry: AuditEntry) -> tuple[Any, ...]:
    return (
        subject, micros(until), micros(entry.at), entry.kind, bytes.fromhex(entry.session_id), entry.client_id,
        entry.device, entry.address, entry.reason, entry.by, entry.bound,
    )  # fmt: skip


def keep_audit(connection: Any, statements: AuditStatements, call: KeepAudit) -> bool:
    """Write an entry of another store, unless it is there."""
    row = _row(call.subject, call.until, call.entry)
    subject, _, at, kind, session_id, *_ = row
    return bool(connection.execute(statements.keep, (*row, subject, at, session_id, kind)).rowcount == 1)


def scan_audit(connection: Any, statements: AuditStatements, call: ScanAudit) -> AuditPage:
    """A page of all entries."""
    rows = connection.execute(statements.scan, (int(call.cursor or 0), call.limit)).fetchall()
    found = [
        KeepAudit(subject, until / 1e6, AuditEntry(at / 1e6, kind, bytes(id_).hex(), *rest))
        for _, subject, until, at, kind, id_, *rest in rows
    ]
    return AuditPage(tuple(found), str(rows[-1][0]) if len(rows) == call.limit else "")


def list_audit(connection: Any, statements: AuditStatements, call: ListAudit) -> tuple[AuditEntry, ...]:
    """The entries of a subject, latest first."""
    rows = connection.execute(statements.list_, (call.subject, micros(call.now), call.limit))
    return tuple(AuditEntry(at / 1e6, kind, id_.hex(), *rest) for at, kind, id_, *rest in rows)
