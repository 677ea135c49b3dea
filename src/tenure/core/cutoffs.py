"""Cutoffs: ending many sessions at once, after an incident.

A cutoff is a rule that is kept in the store: all sessions that are meant are over. It holds from the moment at which it
is written: refreshes ask it, and access tokens are refused by it, whatever their number, without a list of sessions.
Meanwhile the sessions themselves are ended one step after the other, each with an entry in its trail.

An access token says when its session began and whose client it is, but not which device: where a cutoff is for devices,
all access tokens of before are refused once, as if they had expired, and whoever is not meant gets another one.
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
    """at: when it was made, in seconds, UTC. by: by whom. swept: whether all sessions that are meant are ended."""

    at: float
    which: Which
    by: str
    swept: bool = False

    @property
    def name(self) -> str:
        """The record's name: by the moment, so that they are in their order."""
        return f"{round(self.at * 1e6):020d}"

    def ends(self, session: Session) -> bool:
        """Whether a session is over."""
        return int(session.created_at) < self.which.before and self.which.includes(session)

    def refuses(self, issued_at: float, auth_time: float, client_id: str) -> bool:
        """Whether an access token is refused. Times are whole seconds, UTC, as a token has them."""
        if auth_time >= self.which.before or self.which.client_id not in ("", client_id):
            return False
        return not self.which.device or issued_at <= self.at

    @property
    def is_final(self) -> bool:
        """Whether the session of a refused access token is surely over; otherwise a refresh finds out."""
        return not self.which.device

    def body(self) -> str:
        """The record's text."""
        which = {"before": self.which.before, "client_id": self.which.client_id, "device": self.which.device}
        return json.dumps({"at": self.at, **which, "by": self.by, "swept": self.swept})


def cutoff(now: float, which: Which, by: str) -> Cutoff:
    """A cutoff that is made now. Without a moment it is for all sessions that began before it, to the whole second, as
    an access token says it."""
    before = min(float(math.ceil(which.before)), float(math.floor(now) + 1))
    return Cutoff(now, Which(before, which.client_id, which.device), by)


def cutoff_in(body: str) -> Cutoff:
    """The cutoff that a record holds."""
    kept = json.loads(body)
    which = Which(float(kept.get("before", FOREVER)), kept.get("client_id", ""), kept.get("device", ""))
    return Cutoff(float(kept["at"]), which, str(kept.get("by", "")), bool(kept.get("swept", False)))
