"""Copy everything to another store, with everybody still logged in.

Copies all live sessions, audit trails and records, and recently revoked sessions, so that their access tokens stay
refused. The old store may stay in use meanwhile. The new store records the progress, so that an interrupted copy
resumes. At the end, both sides are compared, and sessions that have changed are copied again.

A session that is refreshed on the old store after that is stale on the new one. The verdict *rollback* forgives one
such refresh, so nobody is logged out.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from tenure.core.calls import DeleteRecord, Get, GetRecord, ListRecords, PutRecord, Restore, Revoke, Scan, ScanAudit
from tenure.core.session import Session
from tenure.stores.protocol import Store

RECORDS = ("account", "client", "api_key", "signing_key", "cutoff", "deployment")
PAGE = 1000
LATELY_SECONDS = 86400.0

_PLACE = "copy"


@dataclass(slots=True)
class Copied:
    """Progress of a copy: records, sessions and audit entries written; sessions compared, how many of them had changed
    and were written again, and how many still differ."""

    records: int = 0
    sessions: int = 0
    audit: int = 0
    verified: int = 0
    again: int = 0
    missing: int = 0


Watch = Callable[[str, float], None]
"""Is told what is being done, and how much of it is done, from 0 to 1."""


async def copy(source: Store, target: Store, *, name: str, now: float, watch: Watch) -> Copied:
    """Copy everything from `source` to `target`, then compare. `name` identifies a copy that resumes.

    now: sessions that ended before this moment are left out (seconds, UTC).
    """
    done = Copied()
    for kind in RECORDS:
        for record, body in await source.arun(ListRecords(kind)):
            done.records += await _keep_record(target, kind, record, body)
    await _carry_audit(source, target, now, done)
    cursor = await target.arun(GetRecord(_PLACE, name)) or ""
    while True:
        page = await source.arun(Scan(cursor, PAGE))
        done.sessions += sum(await asyncio.gather(*[_carry(target, session, now) for session in page.sessions]))
        watch("copying", page.progress)
        cursor = page.cursor
        if not cursor:
            break
        await _keep_record(target, _PLACE, name, cursor)
    while True:
        page = await source.arun(Scan(cursor, PAGE))
        await asyncio.gather(*[_verify(source, target, session, now, done) for session in page.sessions])
        watch("verifying", page.progress)
        cursor = page.cursor
        if not cursor:
            break
    await target.arun(DeleteRecord(_PLACE, name))
    return done


async def _carry_audit(source: Store, target: Store, now: float, done: Copied) -> None:
    cursor = ""
    while True:
        page = await source.arun(ScanAudit(cursor, PAGE))
        wanted = [target.arun(keep) for keep in page.entries if keep.until > now]
        done.audit += sum(await asyncio.gather(*wanted))
        cursor = page.cursor
        if not cursor:
            return


async def _keep_record(target: Store, kind: str, name: str, body: str) -> bool:
    if await target.arun(GetRecord(kind, name)) == body:
        return False
    return await target.arun(PutRecord(kind, name, body)) or await target.arun(PutRecord(kind, name, body, True))


async def _carry(target: Store, session: Session, now: float) -> bool:
    """Write one session to the target, unless it has ended long ago."""
    if not _matters(session, now):
        return False
    alive = replace(session, revoked_at=None, revoked_reason=None, revoked_by=None)
    written = await target.arun(Restore(alive))
    if session.revoked_at is not None:
        # Revoked there, not just written as revoked, so that the feed announces it.
        reason, by = session.revoked_reason or "", session.revoked_by or ""
        await target.arun(Revoke(session.id, session.revoked_at, reason, by))
    return written


def _matters(session: Session, now: float) -> bool:
    lately = session.revoked_at is None or now - session.revoked_at < LATELY_SECONDS
    return now < session.expires_at and lately


async def _verify(source: Store, target: Store, seen: Session, now: float, done: Copied) -> None:
    if not _matters(seen, now):
        return
    done.verified += 1
    if await target.arun(Get(seen.id)) == seen:
        return
    session = await source.arun(Get(seen.id)) or seen
    written = await _carry(target, session, now)
    done.again += written  # in two steps, or the old count would be read before the wait
    kept = await target.arun(Get(seen.id))
    behind = kept is None or (kept.revoked_at is None and kept.head.generation <= session.head.generation)
    if kept != session and behind:
        done.missing += 1
