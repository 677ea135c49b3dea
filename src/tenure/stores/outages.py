"""What is said of a store that does not answer: to callers that it is so, to operators why.

The server's own words may name a host, a port and a database, never a password. They go to the log, once a second at
the most, and to whoever starts a service or asks for its readiness with an API key.
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
        _warned.clear()  # so that it never grows
        _warned[said] = now
        _log.warning("the session store does not answer: %s", said)
    return StoreUnavailable(message, detail=said)


def without_password(text: str) -> str:
    """`text` without the passwords of URLs and of connection strings."""
    return _PASSWORD.sub(lambda found: f"{found[1]}@" if found[1] is not None else f"{found[2]}…", text)
