"""Sessions as stores keep them: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tenure.core.binding import Bound
from tenure.core.family import Head

FOREVER = 2.0**42
"""A moment after all others, in seconds, UTC."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """When and how a user was authenticated.

    at: in seconds, UTC. acr: the class of the authentication (OpenID Connect Core section 2). amr: its methods, as in
    RFC 8176: "pwd", "otp", "hwk".
    """

    at: float
    acr: str | None = None
    amr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """One login on one device: the grant, and the head of its family. One row, however often it is refreshed.

    id: 32 hexadecimal digits. claims: what the application gave at login, for every access token. Times are in
    seconds, UTC. expires_at: when the session ends if nobody refreshes, never later than `ends_at`, the end of its
    absolute lifetime. last_used_at: its last refresh. binding: the key that it is bound to, as core/binding.py spells
    it, if any. lifetime: the name of the policy's lifetime that its login chose, or "" for the usual one. idle_ttl: its
    own idle lifetime in seconds; None for a session of before, which has the policy's. authentication: the latest, if
    more is known of it than that the login was one.
    """

    id: str
    subject: str
    client_id: str
    scope: str
    claims: Mapping[str, Any]
    device: str
    created_at: float
    expires_at: float
    ends_at: float
    head: Head = field(repr=False)
    revoked_at: float | None = None
    revoked_reason: str | None = None
    revoked_by: str | None = None
    binding: str | None = None
    lifetime: str = ""
    idle_ttl: float | None = None
    authentication: Authentication | None = None

    @property
    def authenticated_at(self) -> float:
        """When the user was authenticated last, in seconds, UTC."""
        return self.created_at if self.authentication is None else self.authentication.at

    @property
    def last_used_at(self) -> float:
        """When the session was last refreshed, or made, in seconds, UTC."""
        return self.head.rotated_at

    def is_live(self, now: float) -> bool:
        """Whether the session is neither revoked nor expired at `now` (seconds, UTC)."""
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of a subject's audit trail: a login, or the end of a session.

    at: when, in seconds, UTC. address: where the request came from, or "". reason and by: why a session was ended, and
    by whom; after a theft, the reason is "reuse_detected". bound: what the session was bound to, if anything: a "key"
    or the browser's "device".
    """

    at: float
    kind: Literal["logged_in", "revoked"]
    session_id: str
    client_id: str
    device: str
    address: str
    reason: str | None = None
    by: str | None = None
    bound: Bound | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of sessions, live or not. cursor: where the next page begins, or "" after the last. progress: how much of
    the store has been read, roughly, from 0 to 1."""

    sessions: tuple[Session, ...]
    cursor: str
    progress: float


@dataclass(frozen=True, slots=True)
class Which:
    """Selects the sessions that match all of these.

    before: began before this moment (seconds, UTC). client_id: of this client, or "" for any. device: the device's name
    contains this, case-sensitively, or "" for any.
    """

    before: float = FOREVER
    client_id: str = ""
    device: str = ""

    def includes(self, session: Session) -> bool:
        """Whether a session matches."""
        return (
            session.created_at < self.before
            and self.client_id in ("", session.client_id)
            and self.device in session.device
        )
