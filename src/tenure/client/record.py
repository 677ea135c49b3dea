"""What a client stores of a session, and its format.

A storage keeps a record under the name of the endpoint that issued the credentials. The record outlives the session: it
also lists log-outs that the server has not acknowledged, and when a refresh last failed.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

LONGEST_PAUSE = 30.0
LONGEST_ASKED = 300.0
MAX_LOGOUTS = 20
_UNKNOWN_LIFETIME = 120.0
_TEXTS = ("refresh_token", "access_token", "attempt")
_NUMBERS = ("obtained_at", "expires_at")


@dataclass(frozen=True, slots=True)
class Credentials:
    """attempt: the attempt key of a refresh in progress.

    obtained_at and expires_at are the access token's, in seconds, UTC, by this machine's clock; None if unknown.
    bound: whether the session is bound to this device's key.
    """

    refresh_token: str = field(repr=False)
    access_token: str | None = field(default=None, repr=False)
    attempt: str | None = field(default=None, repr=False)
    obtained_at: float | None = None
    expires_at: float | None = None
    bound: bool = False

    def has_expired(self, now: float) -> bool:
        """Whether the access token is known to have expired."""
        return self.expires_at is not None and now >= self.expires_at

    def is_young(self, now: float) -> bool:
        """Whether the access token is in the first half of its lifetime."""
        if self.obtained_at is None:
            return False
        lifetime = _UNKNOWN_LIFETIME if self.expires_at is None else self.expires_at - self.obtained_at
        return 0.0 <= now - self.obtained_at < lifetime / 2


@dataclass(frozen=True, slots=True)
class Record:
    """credentials: None if nobody is logged in. logouts: refresh tokens of sessions that the server has yet to end.

    failed_at: when the last refresh failed, in seconds, UTC. pause: for how many seconds after that nobody tries again.
    source: the text that the record was read from, which a storage compares before it replaces it.
    """

    credentials: Credentials | None = None
    logouts: tuple[str, ...] = field(default=(), repr=False)
    failed_at: float | None = None
    pause: float = 0.0
    source: str | None = field(default=None, repr=False, compare=False)

    def is_paused(self, now: float) -> bool:
        """Whether a refresh has just failed. Setting the clock back ends the pause."""
        return self.failed_at is not None and 0.0 <= now - self.failed_at < self.pause

    def failed(self, now: float, asked: float) -> "Record":
        """The record after a failed refresh: each pause is twice the one before, or as long as the server `asked`."""
        doubled = min(LONGEST_PAUSE, 2 * self.pause) if self.pause else 1.0
        return replace(self, failed_at=now, pause=max(doubled, min(asked, LONGEST_ASKED)))

    def succeeded(self, credentials: Credentials | None) -> "Record":
        """The record after the server has responded."""
        return replace(self, credentials=credentials, failed_at=None, pause=0.0)

    def logged_out(self) -> "Record":
        """The record after a log-out or a replaced login that the server has not acknowledged."""
        if self.credentials is None:
            return self
        logouts = (*self.logouts, self.credentials.refresh_token)[-MAX_LOGOUTS:]
        return replace(self, credentials=None, logouts=logouts)

    def acknowledged(self, refresh_token: str) -> "Record":
        """The record after the server has acknowledged a log-out."""
        return replace(self, logouts=tuple(token for token in self.logouts if token != refresh_token))

    def to_text(self) -> str | None:
        """The record as text for a storage; None if it is empty."""
        if self.credentials is None and not self.logouts:
            return None
        kept = {} if self.credentials is None else asdict(self.credentials)
        return json.dumps({**kept, "logouts": self.logouts, "failed_at": self.failed_at, "pause": self.pause})


def record_of(text: str | None) -> Record:
    """Parse a stored record; None gives an empty one. Raises ValueError for anything else."""
    if text is None:
        return Record()
    kept = json.loads(text)
    if type(kept) is not dict:
        raise ValueError("not an object")
    logouts = kept.get("logouts", [])
    if not isinstance(logouts, list) or not all(isinstance(token, str) for token in logouts):
        raise ValueError("logouts is not a list of texts")
    failed_at, pause = _number(kept, "failed_at"), _number(kept, "pause")
    return Record(_credentials_of(kept), tuple(logouts), failed_at, pause or 0.0, text)


def _credentials_of(kept: dict[str, Any]) -> Credentials | None:
    if kept.get("refresh_token") is None:
        return None
    texts = {name: kept.get(name) for name in _TEXTS}
    if not all(value is None or isinstance(value, str) for value in texts.values()):
        raise ValueError("a token is not text")
    numbers = {name: _number(kept, name) for name in _NUMBERS}
    return Credentials(**texts, **numbers, bound=kept.get("bound") is True)  # type: ignore[arg-type]


def _number(kept: dict[str, Any], name: str) -> float | None:
    value = kept.get(name)
    if value is None:
        return None
    if type(value) not in (int, float):
        raise ValueError(f"{name} is not a number")
    return float(value)
