"""The policy: lifetimes and limits, as one frozen value.

All durations are in seconds. The constructor refuses combinations that make no sense, so no other code has to check
them.
"""

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_origin

from tenure.core.errors import ConfigurationError

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Lifetimes and limits. Raises ConfigurationError, with the reason, for combinations that make no sense.

    access_ttl: how long an access token lives, in seconds.
    idle_ttl: a session ends this long after its last refresh, in seconds.
    absolute_ttl: a session ends this long after login, whatever happens, in seconds.
    leeway: for how long a retry without the attempt key is believed, in seconds.
    rollback: what a token that is newer than the store must bring to be adopted: "proof" of its descent (the
        default), or, for the days after restoring a backup, only its "tag": then whoever has the server's key can
        mint a token.
    max_sessions: the most live sessions a subject may have; None for no limit.
    at_limit: what gives way at that limit: "end_oldest" session, or "refuse_login".
    binding: whether sessions may be bound to a key (DPoP): "offered" to clients that send a proof, "required" of all,
        or "off". A session that is bound stays so.
    at_missing_proof: what a token of a bound session without its key leads to: "refuse" it, which leaves its owner
        undisturbed, or "end_session".
    clock_skew: how long after its expiry an access token is still accepted, for clocks that differ, in seconds.
    audit_ttl: how long a login and the end of a session stay in the audit trail, in seconds; 0 for no trail.
    signing_key_ttl: a signing key signs for this long before the next takes over, in seconds.
    signing_key_prepublish: a new signing key is published this long before it signs, in seconds, so that every
        verifier has it by then.
    """

    access_ttl: float = 10 * MINUTE
    idle_ttl: float = 14 * DAY
    absolute_ttl: float = 90 * DAY
    leeway: float = 30.0
    rollback: Literal["proof", "tag"] = "proof"
    max_sessions: int | None = None
    at_limit: Literal["end_oldest", "refuse_login"] = "end_oldest"
    binding: Literal["off", "offered", "required"] = "offered"
    at_missing_proof: Literal["refuse", "end_session"] = "refuse"
    clock_skew: float = 0.0
    audit_ttl: float = 30 * DAY
    signing_key_ttl: float = 30 * DAY
    signing_key_prepublish: float = 1 * HOUR

    def __post_init__(self) -> None:
        for name in _DURATIONS:
            _check_duration(name, getattr(self, name), least=0.0 if name in _MAY_BE_NONE else 1.0)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                named = " or ".join(f'"{choice}"' for choice in choices)
                raise ConfigurationError(f"{name} is {named}, not {getattr(self, name)!r}.")
        if self.max_sessions is not None and (type(self.max_sessions) is not int or self.max_sessions < 1):
            raise ConfigurationError("max_sessions is a whole number from 1, or None for no limit.")
        for shorter, longer, why in _ORDER:
            if getattr(self, shorter) >= getattr(self, longer):
                raise ConfigurationError(f"{shorter} must be shorter than {longer}: {why}")
        if self.idle_ttl > self.absolute_ttl:
            raise ConfigurationError(
                "idle_ttl must not be longer than absolute_ttl: a session can't be idle for longer than it may live."
            )


_CHOICES = {field.name: get_args(field.type) for field in fields(Policy) if get_origin(field.type) is Literal}
_MAY_BE_NONE = ("leeway", "clock_skew", "audit_ttl")
_DURATIONS = [field.name for field in fields(Policy) if field.type in (float, "float")]

_ORDER = [
    ("access_ttl", "idle_ttl", "otherwise the session has ended before its first refresh is due."),
    ("leeway", "idle_ttl", "the leeway is for a lost response, not for an absence."),
    ("clock_skew", "access_ttl", "otherwise an access token would live more than twice its lifetime."),
    ("signing_key_prepublish", "signing_key_ttl", "otherwise a key would be replaced before it signs."),
]


def _check_duration(name: str, value: object, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(f"{name} is a number of seconds.")
    if value < least:
        raise ConfigurationError(f"{name} is at least {least:g} seconds, not {value:g}.")


# The limits of NIST SP 800-63B (revision 3, 2017). Revision 4 (2025, sections 2.1.3, 2.2.3 and 2.3.3) sets the same
# for levels 1 and 3 and longer ones for level 2, so these presets satisfy both.

NIST_AAL1 = Policy(idle_ttl=14 * DAY, absolute_ttl=30 * DAY)
"""Section 4.1.3: reauthentication at least every 30 days; no limit on inactivity."""

NIST_AAL2 = Policy(access_ttl=5 * MINUTE, idle_ttl=30 * MINUTE, absolute_ttl=12 * HOUR)
"""Section 4.2.3: reauthentication at least every 12 hours, and after 30 minutes of inactivity."""

NIST_AAL3 = Policy(access_ttl=2 * MINUTE, idle_ttl=15 * MINUTE, absolute_ttl=12 * HOUR)
"""Section 4.3.3: reauthentication at least every 12 hours, and after 15 minutes of inactivity."""
