"""Walks over all keys in Valkey: copy, count, end many, list the latest.

They use SCAN, on one primary after the other, or short lists that each tag has. A step takes milliseconds.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis import Redis

from tenure.core.calls import (
    AuditPage,
    Call,
    CountAudit,
    Counts,
    ListLatest,
    Revoke,
    RevokeWhere,
    Scan,
    ScanAudit,
    Survey,
    Swept,
)
from tenure.core.errors import StoreUnavailable
from tenure.core.session import Page, Session
from tenure.stores.rows import latest_cursor, latest_from
from tenure.stores.valkey.calls import (
    ALL_AUDIT_TRAILS,
    ALL_SESSIONS,
    Command,
    count_commands,
    get_session,
    latest_commands,
    revocation,
)
from tenure.stores.valkey.nodes import Nodes, pipelined
from tenure.stores.valkey.values import kept_in, session_from, session_in

Replies = Callable[[Sequence[Command]], Sequence[Any]]
"""Send commands to where their keys are, and answer their replies."""

_HOUR_SECONDS = 3600


def _scan(nodes: Nodes, _: Replies, call: Scan) -> Page:
    found, cursor, progress = _sessions(nodes, call.cursor, call.limit)
    return Page(tuple(found), cursor, progress)


def _scan_audit(nodes: Nodes, _: Replies, call: ScanAudit) -> AuditPage:
    client, keys, cursor, _progress = _scanned(nodes, ALL_AUDIT_TRAILS, call.cursor, call.limit)
    trails = pipelined(client, [("ZRANGE", key, 0, -1, "WITHSCORES") for key in keys])
    return AuditPage(
        tuple(
            kept_in(line, until)
            for trail in trails
            if isinstance(trail, list)
            for line, until in zip(trail[::2], trail[1::2], strict=True)
        ),
        cursor,
    )


def _survey(nodes: Nodes, _: Replies, call: Survey) -> Counts:
    found, cursor, progress = _sessions(nodes, call.cursor, call.limit)
    live = [session for session in found if session.is_live(call.now) and call.which.includes(session)]
    refreshed = sum(one.head.generation > 0 and one.last_used_at > call.since for one in live)
    return Counts(len(live), refreshed, Counter(one.client_id for one in live), cursor, progress)


def _revoke_where(nodes: Nodes, replies: Replies, call: RevokeWhere) -> Swept:
    found, cursor, progress = _sessions(nodes, call.cursor, call.limit)
    revocations = [
        Revoke(session.id, call.now, call.reason, call.by, call.audit)
        for session in found
        if session.is_live(call.now) and call.which.includes(session)
    ]
    answers = _answered(replies([revocation(one, quietly=True) for one in revocations]))
    return Swept(sum(answer is not None for answer in answers), cursor, progress)


def _list_latest(_: Nodes, replies: Replies, call: ListLatest) -> Page:
    begin = latest_from(call.cursor)
    places: list[tuple[int, str]] = []
    for tag in _answered(replies(latest_commands(begin[0], call.limit + 1))):
        places += [(int(float(at)), name.decode()) for name, at in zip(tag[::2], tag[1::2], strict=True)]
    late = sorted((place for place in places if place < begin), reverse=True)[: call.limit]
    values = _answered(replies([get_session(session_id) for _, session_id in late]))
    read = [session_from(session_id, value) for (_, session_id), value in zip(late, values, strict=True)]
    meant = [one for one in read if one is not None and one.is_live(call.now) and call.which.includes(one)]
    return Page(tuple(meant), latest_cursor(*late[-1]) if len(late) == call.limit else "", 1.0)


def _count_audit(_: Nodes, replies: Replies, call: CountAudit) -> Mapping[tuple[str, str], int]:
    """Counts are kept by the hour, so this counts from the hour of `since` on."""
    first = int(call.since // _HOUR_SECONDS)
    counted: Counter[tuple[str, str]] = Counter()
    for found in _answered(replies(count_commands(range(first, first + _KEPT_HOURS)))):
        for name, count in zip(found[::2], found[1::2], strict=True):
            kind, _, reason = name.decode().partition(":")
            counted[kind, reason] += int(count)
    return dict(counted)


_KEPT_HOURS = 25
"""A day, and the hour that has begun."""

WALKS: Mapping[type[Call[Any]], Callable[[Nodes, Replies, Any], Any]] = {
    Scan: _scan,
    ScanAudit: _scan_audit,
    Survey: _survey,
    RevokeWhere: _revoke_where,
    ListLatest: _list_latest,
    CountAudit: _count_audit,
}


def _answered(replies: Sequence[Any]) -> Sequence[Any]:
    for reply in replies:
        if isinstance(reply, StoreUnavailable):
            raise reply
    return replies


def _sessions(nodes: Nodes, cursor: str, limit: int) -> tuple[list[Session], str, float]:
    client, keys, following, progress = _scanned(nodes, ALL_SESSIONS, cursor, limit)
    values = pipelined(client, [("GET", key) for key in keys])
    found = [session_in(key, value) for key, value in zip(keys, values, strict=True) if isinstance(value, bytes)]
    return [session for session in found if session is not None], following, progress


def _scanned(nodes: Nodes, pattern: str, cursor: str, limit: int) -> tuple[Redis, list[bytes], str, float]:
    """One step of SCAN, on one primary after the other. The cursor is the primary's name, a slash, and SCAN's cursor.

    Returns that primary's client, the keys, the next cursor and the progress.
    """
    primaries = nodes.primaries()
    name, _, at = cursor.rpartition("/")
    name = name if name in primaries else next((other for other in primaries if other > name), "")
    client = primaries[name]
    ((following, keys),) = pipelined(client, [("SCAN", at or 0, "MATCH", pattern, "COUNT", limit)])
    before = list(primaries).index(name)
    if int(following) != 0:
        done = (before + _seen(int(following), name)) / len(primaries)
        return client, keys, f"{name}/{int(following)}", done
    after = next((other for other in primaries if other > name), None)
    return client, keys, "" if after is None else f"{after}/0", (before + 1) / len(primaries)


def _seen(cursor: int, server: str) -> float:
    """SCAN's progress, from 0 to 1. In a Cluster, its cursor ends in the slot; on a single server, it counts with
    reversed bits."""
    return cursor % 16384 / 16384 if server else int(f"{cursor:064b}"[::-1], 2) / 2**64
