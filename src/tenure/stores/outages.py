"""Errors for a store that does not respond: callers learn that it is so, operators learn why.

The server's own message may contain a host, a port and a database, but never a password. It goes to the log, at most
once a second, to the terminal at the start, and to /readyz for callers with an API key.
"""

import logging
import re
import time

from tenure.core.errors import StoreUnavailable

WARN_SECONDS = 1.0

_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s]*@|(password\s*=\s*)('[^']*'|\S+)", re.IGNORECASE)
_log = logging.getLogger("tenure")
_warned: dict[str, float] = {}


def unavailable(detail: str, message: str | None = None) -> StoreUnavailable:
    """The error for a caller (`message`), with `detail` for operators; logs it."""
    said = without_password(" ".join(detail.split()))
    now = time.monotonic()
    if now - _warned.get(said, -WARN_SECONDS) >= WARN_SECONDS:
        _warned.clear()  # so that it stays small
        _warned[said] = now
        _log.warning("the session store does not respond: %s", said)
    return StoreUnavailable(message, detail=said)


def without_password(text: str) -> str:
    """Remove passwords in URLs and connection strings from `text`."""
    return _PASSWORD.sub(lambda found: f"{found[1]}@" if found[1] is not None else f"{found[2]}…", text)
