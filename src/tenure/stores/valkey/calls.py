"""Calls as Valkey commands, and how to read the replies.

Keys carry a hash tag, so that a Cluster keeps a subject's data together: `{b7}` is the first byte of a session's id,
which all sessions of a subject share. There are 256 tags, few enough to read all their feeds at once.

    tenure:{b7}:session:<id>        one session, laid out as in scripts/session.lua
    tenure:{b7}:subject:<subject>   the ids of its sessions
    tenure:{b7}:revoked             the feed: id and moment of each revocation, in the order of the server's time
    tenure:{b7}:audit:<bucket>      audit entries of a bucket of subjects, by when they may be deleted
    tenure:{records}:<kind>         accounts, clients, signing keys
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tenure.core.calls import (
    Advance,
    Audit,
    Call,
    CountAudit,
    Create,
    DeleteRecord,
    Get,
    GetRecord,
    KeepAudit,
    ListAudit,
    ListLatest,
    ListRecords,
    ListSubject,
    Purge,
    PutRecord,
    Reauthenticate,
    Restore,
    Revocations,
    Revoke,
    RevokedSince,
    RevokeSubject,
    RevokeWhere,
    Scan,
    ScanAudit,
    Shorten,
    Survey,
)
from tenure.core.session import AuditEntry, Session
from tenure.core.tokens import bucket_of
from tenure.stores.rows import latest_first, micros
from tenure.stores.valkey.scripts import digest, source
from tenure.stores.valkey.values import (
    audit_bytes,
    audit_entry_from,
    client_bytes,
    encoded_authentication,
    head_bytes,
    said_bytes,
    session_from,
    value_of,
)

CHANNEL = "tenure:revoked"
ALL_SESSIONS = "tenure:{??}:session:*"
ALL_AUDIT_TRAILS = "tenure:{??}:audit:*"
_TAGS = tuple(f"{byte:02x}" for byte in range(256))


class Command(NamedTuple):
    """A command for the server that holds `key`. `arguments` are the script's, if there is one."""

    key: str
    arguments: tuple[str | bytes | int, ...]
    script: str | None = None
    writes: bool = True

    def words(self, *, whole: bool = False) -> tuple[str | bytes | int, ...]:
        """The command's words: a script by its digest, or `whole` for a server that does not have it."""
        if self.script is None:
            return self.arguments
        named = ("EVAL", source(self.script)) if whole else ("EVALSHA", digest(self.script))
        return (*named, *self.arguments)


class Request(NamedTuple):
    """A call for Valkey: commands, and a function that turns their replies into the result."""

    commands: Sequence[Command]
    answer: Callable[[Sequence[Any]], Any]


def request_of(call: Call[Any]) -> Request:
    """The commands for a call."""
    return _REQUEST[type(call)](call)


def key_of(call: Call[Any]) -> str | None:
    """The key that decides which server runs a call; None for a call to all servers."""
    if isinstance(call, RevokedSince | Purge | Scan | ScanAudit | Survey | RevokeWhere | ListLatest | CountAudit):
        return None
    if isinstance(call, Create | Restore):
        return _session_key(call.session.id)
    if isinstance(call, Advance | Get | Revoke | Shorten | Reauthenticate):
        return _session_key(call.session_id)
    if isinstance(call, ListSubject | RevokeSubject | ListAudit | KeepAudit):
        return _subject_key(call.subject)
    return _RECORDS


_RECORDS = "tenure:{records}"


def _prefix(tag: str) -> str:
    return f"tenure:{{{tag}}}:session:"


def _session_key(session_id: str) -> str:
    return _prefix(session_id[:2]) + session_id


def _feed_key(tag: str) -> str:
    return f"tenure:{{{tag}}}:revoked"


def _audit_key(bucket: str) -> str:
    return f"tenure:{{{bucket[:2]}}}:audit:{bucket}"


def _subject_key(subject: str) -> str:
    return f"tenure:{{{_tag_of(subject)}}}:subject:{subject}"


def _tag_of(subject: str) -> str:
    return bucket_of(subject)[:1].hex()


def _tag_of_both(new: Session) -> str:
    tag = _tag_of(new.subject)
    if tag != new.id[:2]:
        raise ValueError("the session's id is not of its subject's bucket")
    return tag


def _records_key(kind: str) -> str:
    return f"{_RECORDS}:{kind}"


def _script(name: str, keys: Sequence[str], *arguments: str | bytes | int) -> Command:
    return Command(keys[0], (len(keys), *keys, *arguments), name)


def _read(key: str, *words: str | bytes | int) -> Command:
    return Command(key, words, writes=False)


def _ids(replies: Sequence[Any]) -> tuple[str, ...] | None:
    return None if replies[0] is None else tuple(session_id.decode() for session_id in replies[0])


def _create(call: Create) -> Request:
    new, tag = call.session, _tag_of_both(call.session)
    keys = (_session_key(new.id), _subject_key(new.subject), _feed_key(tag), _audit_key(new.id[:4]))
    limit = -1 if call.limit is None else call.limit
    said = said_bytes("session_limit", "policy")
    arguments = (value_of(new), new.id, _prefix(tag), limit, int(call.end_oldest), said, *_audit(call.audit))
    return Request([_script("create", keys, *arguments)], _ids)


def _audit(audit: Audit | None) -> tuple[str, int]:
    return ("", 0) if audit is None else (audit.address, micros(audit.until))


def _advance(call: Advance) -> Request:
    expected = struct.pack(">Q32s", call.expected_generation, call.expected_hash)
    command = _script(
        "advance",
        [_session_key(call.session_id)],
        expected,
        client_bytes(call.client_id),
        head_bytes(call.head),
        micros(call.idle_deadline),
        call.expected_binding or "",
        call.binding or "",
    )
    return Request([command], lambda replies: session_from(call.session_id, replies[0]))


def _get(call: Get) -> Request:
    key = _session_key(call.session_id)
    return Request([_read(key, "GET", key)], lambda replies: session_from(call.session_id, replies[0]))


def _revoke(call: Revoke) -> Request:
    return Request([revocation(call)], lambda replies: session_from(call.session_id, replies[0]))


def _shorten(call: Shorten) -> Request:
    command = _script("shorten", [_session_key(call.session_id)], micros(call.idle_ttl), micros(call.ends_at))
    return Request([command], lambda replies: session_from(call.session_id, replies[0]))


def _reauthenticate(call: Reauthenticate) -> Request:
    said = encoded_authentication(call.authentication)
    command = _script("reauthenticate", [_session_key(call.session_id)], micros(call.authentication.at), said)
    return Request([command], lambda replies: session_from(call.session_id, replies[0]))


def revocation(call: Revoke, *, quietly: bool = False) -> Command:
    """The command that ends a session; `quietly` leaves it out of the feed."""
    keys = (_session_key(call.session_id), _feed_key(call.session_id[:2]), _audit_key(call.session_id[:4]))
    arguments = (call.session_id, micros(call.now), said_bytes(call.reason, call.by), *_audit(call.audit))
    return _script("revoke", keys, *arguments, "quietly" if quietly else "")


def latest_commands(before: int, limit: int) -> list[Command]:
    """Commands for the latest logins of each tag up to a moment (microseconds): ids with their moments."""
    keys = [f"tenure:{{{tag}}}:latest" for tag in _TAGS]
    return [_read(key, "ZREVRANGEBYSCORE", key, before, "-inf", "WITHSCORES", "LIMIT", 0, limit) for key in keys]


def get_session(session_id: str) -> Command:
    """The command that reads a session."""
    return _read(_session_key(session_id), "GET", _session_key(session_id))


def count_commands(hours: Sequence[int]) -> list[Command]:
    """Commands that count events of each tag in these hours (since 1970)."""
    keys = [f"tenure:{{{tag}}}:counts:{hour}" for tag in _TAGS for hour in hours]
    return [_read(key, "HGETALL", key) for key in keys]


def _revoke_subject(call: RevokeSubject) -> Request:
    tag = _tag_of(call.subject)
    keys = (_subject_key(call.subject), _feed_key(tag), _audit_key(bucket_of(call.subject).hex()))
    said = said_bytes(call.reason, call.by)
    arguments = (_prefix(tag), micros(call.now), said, call.except_id or "", *_audit(call.audit))
    return Request([_script("revoke_subject", keys, *arguments)], _ids)


def _list_audit(call: ListAudit) -> Request:
    def answer(replies: Sequence[Any]) -> tuple[AuditEntry, ...]:
        return latest_first(map(audit_entry_from, replies[0]))[: call.limit]

    key = _audit_key(bucket_of(call.subject).hex())
    return Request([_script("list_audit", [key], call.subject, micros(call.now))], answer)


def _list_subject(call: ListSubject) -> Request:
    arguments = (_prefix(_tag_of(call.subject)), micros(call.now))

    def answer(replies: Sequence[Any]) -> tuple[Session | None, ...]:
        ids, values = replies[0][::2], replies[0][1::2]
        return tuple(session_from(session_id.decode(), value) for session_id, value in zip(ids, values, strict=True))

    return Request([_script("list_subject", [_subject_key(call.subject)], *arguments)], answer)


def _keep_audit(call: KeepAudit) -> Request:
    key = _audit_key(bucket_of(call.subject).hex())
    command = _script("keep_audit", [key], audit_bytes(call.subject, call.entry), micros(call.until))
    return Request([command], _truth)


def _revoked_since(call: RevokedSince) -> Request:
    """The new position is the time of the server whose clock is furthest behind. Entries after it are repeated the next
    time."""

    def answer(replies: Sequence[Any]) -> Revocations:
        told_until = min(int(time) for time, _ in replies) - 1
        news = sorted(
            (float(position), entry)
            for _, found in replies
            for entry, position in zip(found[::2], found[1::2], strict=True)
        )
        return Revocations(max(call.position, told_until), tuple(heard_in(entry) for _, entry in news))

    return Request([_script("revoked_since", [_feed_key(tag)], call.position) for tag in _TAGS], answer)


def heard_in(entry: bytes) -> tuple[str, float]:
    """Parse a feed entry or a message on CHANNEL: a session's id, and when it was revoked."""
    session_id, _, revoked_at = entry.decode().partition(" ")
    return session_id, int(revoked_at) / 1e6


def _purge(call: Purge) -> Request:
    """Only the feed: sessions expire by themselves."""
    moment = micros(call.before)
    return Request([_script("forget_revocations", [_feed_key(tag)], moment) for tag in _TAGS], lambda _: 0)


def _restore(call: Restore) -> Request:
    new = call.session
    _tag_of_both(new)
    command = _script("restore", (_session_key(new.id), _subject_key(new.subject)), value_of(new), new.id)
    return Request([command], _truth)


def _put_record(call: PutRecord) -> Request:
    key = _records_key(call.kind)
    if call.replace:
        command = _script("replace_record", [key], call.name, call.body)
    else:
        command = Command(key, ("HSETNX", key, call.name, call.body))
    return Request([command], _truth)


def _truth(replies: Sequence[Any]) -> bool:
    return bool(replies[0])


def _get_record(call: GetRecord) -> Request:
    key = _records_key(call.kind)
    command = _read(key, "HGET", key, call.name)
    return Request([command], lambda replies: None if replies[0] is None else replies[0].decode())


def _list_records(call: ListRecords) -> Request:
    key = _records_key(call.kind)

    def answer(replies: Sequence[Any]) -> tuple[tuple[str, str], ...]:
        names, bodies = replies[0][::2], replies[0][1::2]
        return tuple((name.decode(), body.decode()) for name, body in sorted(zip(names, bodies, strict=True)))

    return Request([_read(key, "HGETALL", key)], answer)


def _delete_record(call: DeleteRecord) -> Request:
    key = _records_key(call.kind)
    return Request([Command(key, ("HDEL", key, call.name))], _truth)


_REQUEST: Mapping[type[Call[Any]], Callable[[Any], Request]] = {
    Create: _create,
    Advance: _advance,
    Get: _get,
    Revoke: _revoke,
    Shorten: _shorten,
    Reauthenticate: _reauthenticate,
    RevokeSubject: _revoke_subject,
    ListSubject: _list_subject,
    ListAudit: _list_audit,
    KeepAudit: _keep_audit,
    RevokedSince: _revoked_since,
    Purge: _purge,
    Restore: _restore,
    PutRecord: _put_record,
    GetRecord: _get_record,
    ListRecords: _list_records,
    DeleteRecord: _delete_record,
}
