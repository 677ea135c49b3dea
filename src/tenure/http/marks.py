"""Marks: what a browser keeps to show later that it was here. Signed, so that they can't be forged; they grant no
access.

A device mark says that a browser has logged in to an account before. Logins with one are rate-limited separately from
strangers' (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").

A companion says which session's refresh token was issued to a browser on this host.

A challenge is what a browser signs with its device's key; a device proven says that it did so a short while ago. Both
are for one session.
"""

import hmac
from collections.abc import Sequence

from tenure.core.inputs import spelling_of

MARK_ID_BYTES = 12
CHALLENGE_SECONDS = 60
PROVEN_SECONDS = 600
_MAC_CHARS = 32


def device_mark(account: str, key: bytes, random_id: bytes) -> str:
    """A mark for a browser that has just logged in to `account`. random_id: 12 random bytes."""
    device = random_id.hex()
    return _signed(device, _device(account), key)


def device_of(mark: str, account: str, keys: Sequence[bytes]) -> str | None:
    """The browser's id in `mark`, if one of `keys` signed it for `account`; None otherwise."""
    return _read(mark, _device(account), keys)


def companion_of(session_id: str, key: bytes) -> str:
    """A companion that names a session, for the browser that gets its refresh token."""
    return _signed(session_id, "session", key)


def session_of(companion: str, keys: Sequence[bytes]) -> str | None:
    """The session that a companion names, if one of `keys` signed it; None otherwise."""
    return _read(companion, "session", keys)


def challenge_for(session_id: str, purpose: str, now: float, key: bytes, random_id: bytes) -> str:
    """A challenge for a session's browser. purpose: what it may be used for. now: in seconds, UTC."""
    return _signed(f"{session_id}:{int(now)}:{random_id.hex()}", f"challenge {purpose}", key)


def challenged(challenge: str, purpose: str, now: float, keys: Sequence[bytes]) -> str | None:
    """The session that a challenge of the last minute was made for; None for any other."""
    text = _read(challenge, f"challenge {purpose}", keys)
    if text is None:
        return None
    session_id, made_at, _ = text.split(":")
    return session_id if abs(now - int(made_at)) <= CHALLENGE_SECONDS else None  # instances' clocks differ


def proven_mark(session_id: str, binding: str, now: float, key: bytes) -> str:
    """A mark for a browser that has just proven the key that its session is bound to."""
    return _signed(f"{session_id}:{int(now) + PROVEN_SECONDS}:{binding}", "proven", key)


def proven_by(mark: str, session_id: str, now: float, keys: Sequence[bytes]) -> str | None:
    """The binding whose key this session's browser has proven, if it did so in the last ten minutes; None otherwise."""
    text = _read(mark, "proven", keys)
    if text is None:
        return None
    marked, until, binding = text.split(":", 2)
    return binding if marked == session_id and now < int(until) else None


def _device(account: str) -> str:
    return f"device {spelling_of(account)}"


def _signed(text: str, purpose: str, key: bytes) -> str:
    return f"{text}.{_mac(text, purpose, key)}"


def _read(mark: str, purpose: str, keys: Sequence[bytes]) -> str | None:
    text, dot, mac = mark.partition(".")
    if not dot or not mac.isascii():
        return None
    return text if any(hmac.compare_digest(mac, _mac(text, purpose, key)) for key in keys) else None


def _mac(text: str, purpose: str, key: bytes) -> str:
    said = f"{text} {purpose}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, said, "sha256").hex()[:_MAC_CHARS]
