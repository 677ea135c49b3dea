"""Sessions as Valkey values: packed numbers, then JSON, laid out as in scripts/session.lua."""

import base64
import json
import struct

from tenure.core.calls import KeepAudit
from tenure.core.family import Head
from tenure.core.session import AuditEntry, Authentication, Session
from tenure.stores.rows import authentication_from, authentication_text, micros

_HEAD = struct.Struct(">Q32s32sQ")
_VALUE = struct.Struct(">Q32s32sQQQQQH")
_NO_ATTEMPT = bytes(32)
_decode = json.JSONDecoder().decode


def client_bytes(client_id: str) -> bytes:
    """The client's id, prefixed by its length."""
    encoded = client_id.encode()
    return struct.pack(">H", len(encoded)) + encoded


def head_bytes(head: Head) -> bytes:
    """The part that a refresh replaces: the first 80 bytes."""
    attempt = head.attempt_hash or _NO_ATTEMPT
    return _HEAD.pack(head.generation, head.nonce_hash, attempt, micros(head.rotated_at))


def value_of(session: Session) -> bytes:
    """A session's value."""
    moments = (session.expires_at, session.ends_at, session.created_at, session.revoked_at or 0.0)
    rest = [session.subject, session.scope, session.claims, session.device, session.lifetime]
    value = head_bytes(session.head) + struct.pack(">QQQQ", *map(micros, moments))
    value += client_bytes(session.client_id) + (session.binding or "").encode()
    idle = "" if session.idle_ttl is None else str(micros(session.idle_ttl))
    value += f"|{idle}|{encoded_authentication(session.authentication)}".encode()
    value += json.dumps(rest, separators=(",", ":"), default=dict).encode()
    if session.revoked_at is not None:
        value += b"\n" + said_bytes(session.revoked_reason, session.revoked_by)
    return value


def encoded_authentication(authentication: Authentication | None) -> str:
    """An authentication as base64url of its JSON, which the scripts need not read; "" for None."""
    return base64.urlsafe_b64encode((authentication_text(authentication) or "").encode()).decode()


def said_bytes(reason: str | None, by: str | None) -> bytes:
    """Why a session was ended, and by whom, as JSON."""
    return json.dumps([reason, by]).encode()


def audit_bytes(subject: str, entry: AuditEntry) -> bytes:
    """An audit entry, as scripts/session.lua writes it."""
    said = "" if entry.kind == "logged_in" else said_bytes(entry.reason, entry.by).decode()
    moment = str(micros(entry.at))
    line = [subject, moment, entry.session_id, entry.client_id, entry.device, entry.address, said, entry.bound or ""]
    return json.dumps(line, separators=(",", ":")).encode()


def kept_in(text: bytes, until: bytes) -> KeepAudit:
    """Parse an audit entry with its score, to be copied to another store."""
    return KeepAudit(_decode(text.decode())[0], float(until) / 1e6, audit_entry_from(text))


def audit_entry_from(text: bytes) -> AuditEntry:
    """Parse an audit entry written by scripts/session.lua."""
    _, at, session_id, client_id, device, address, said, bound = (*_decode(text.decode()), "")[:8]
    common = (session_id, client_id, device, address)
    if not said:
        return AuditEntry(int(at) / 1e6, "logged_in", *common, bound=bound or None)
    reason, by = _decode(said)
    return AuditEntry(int(at) / 1e6, "revoked", *common, reason, by, bound or None)


def session_from(session_id: str, value: bytes | None) -> Session | None:
    """Parse a value; None gives None."""
    if value is None:
        return None
    (generation, nonce_hash, attempt, rotated_at, expires_at, ends_at, created_at, revoked_at, length) = (
        _VALUE.unpack_from(value)
    )
    text = _VALUE.size + length
    rest, _, said = value[text:].decode().partition("\n")
    front, bracket, rest = rest.partition("[")
    # Values of before have neither the idle lifetime nor the authentication nor the name of a lifetime.
    binding, idle, authentication = (*front.split("|"), "", "")[:3]
    subject, scope, claims, device, lifetime = (*_decode(bracket + rest), "")[:5]
    reason, by = _decode(said) if said else (None, None)
    return Session(
        session_id, subject, value[_VALUE.size : text].decode(), scope, claims, device, created_at / 1e6,
        expires_at / 1e6, ends_at / 1e6,
        Head(generation, nonce_hash, None if attempt == _NO_ATTEMPT else attempt, rotated_at / 1e6),
        revoked_at / 1e6 if revoked_at else None, reason, by, binding or None, lifetime,
        int(idle) / 1e6 if idle else None, authentication_from(base64.urlsafe_b64decode(authentication).decode()),
    )  # fmt: skip


def session_in(key: bytes, value: bytes | None) -> Session | None:
    """Parse the value of a key; None if the key does not exist (any more)."""
    return session_from(key.rpartition(b":")[2].decode(), value)
