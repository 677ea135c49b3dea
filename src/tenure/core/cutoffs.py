"""Cutoffs: ending many sessions at once, after an incident.

A cutoff is a rule in the store that ends all sessions matching it. It takes effect when it is written: refreshes and
access tokens are checked against it, without a list of sessions. The sessions themselves are then ended step by step,
each with an audit entry.

An access token names its session's start and client, but not its device. A cutoff for devices therefore refuses all
earlier access tokens once, as if they had expired; a session that does not match gets a new one.
"""

import json
import math
from dataclasses import dataclass

from tenure.core.session import FOREVER, Session, Which

REASON = "cutoff"
"""Why such a session has ended."""

KIND = "cutoff"
"""The kind of the records in the store."""


@dataclass(frozen=True, slots=True)
class Cutoff:
    """at: when it was made, in seconds, UTC. by: who made it. swept: whether all matching sessions have been ended."""

    at: float
    which: Which
    by: str
    swept: bool = False

    @property
    def name(self) -> str:
        """The record's name, which sorts by time."""
        return f"{round(self.at * 1e6):020d}"

    def ends(self, session: Session) -> bool:
        """Whether this ends a session."""
        return int(session.created_at) < self.which.before and self.which.includes(session)

    def refuses(self, issued_at: float, auth_time: float, client_id: str) -> bool:
        """Whether this refuses an access token. Times are in whole seconds, UTC, as in the token."""
        if auth_time >= self.which.before or self.which.client_id not in ("", client_id):
            return False
        return not self.which.device or issued_at <= self.at

    @property
    def is_final(self) -> bool:
        """Whether a refused access token's session has certainly ended; otherwise a refresh finds out."""
        return not self.which.device

    def body(self) -> str:
        """The record's text."""
        which = {"before": self.which.before, "client_id": self.which.client_id, "device": self.which.device}
        return json.dumps({"at": self.at, **which, "by": self.by, "swept": self.swept})


def cutoff(now: float, which: Which, by: str) -> Cutoff:
    """A cutoff made now. Without a moment, it ends all sessions that began before now, in whole seconds as in access
    tokens."""
    before = min(float(math.ceil(which.before)), float(math.floor(now) + 1))
    return Cutoff(now, Which(before, which.client_id, which.device), by)


def cutoff_in(body: str) -> Cutoff:
    """Parse a cutoff from its record."""
    kept = json.loads(body)
    which = Which(float(kept.get("before", FOREVER)), kept.get("client_id", ""), kept.get("device", ""))
    return Cutoff(float(kept["at"]), which, str(kept.get("by", "")), bool(kept.get("swept", False)))
