"""Marks: what a browser keeps to show later that it was here. Signed, so that they can't be forged; they grant no
access.

A device mark says that a browser has logged in to an account before. Logins with one are rate-limited separately from
strangers' (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").

A companion says which session's refresh token was issued to a browser on this host.
"""

import hmac
from collections.abc import Sequence

from tenure.core.inputs import spelling_of

MARK_ID_BYTES = 12
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
