"""The policy: lifetimes and limits, as one frozen value.

All durations are in seconds. The constructor refuses combinations that make no sense, so no other code has to check
them.
"""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, get_args, get_origin

from tenure.core.errors import ConfigurationError

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR


REMEMBERED = "remembered"
BROWSER = "browser"
_NAME = re.compile("[a-z][a-z0-9_-]{0,49}")
_BROWSER_IDLE = 2 * HOUR
_BROWSER_ABSOLUTE = DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """How long one kind of login lasts.

    idle_ttl: the session ends this long after its last refresh, in seconds. absolute_ttl: it ends this long after
    login, in seconds. outlives_browser: whether its cookie stays when the browser is closed.
    """

    idle_ttl: float
    absolute_ttl: float
    outlives_browser: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Lifetimes and limits. Raises ConfigurationError, with the reason, for combinations that make no sense.

    access_ttl: how long an access token lives, in seconds.
    idle_ttl: a session ends this long after its last refresh, in seconds.
    absolute_ttl: a session ends this long after login, whatever happens, in seconds.
    lifetimes: other lifetimes by their names, each a Lifetime or a mapping of its fields, for logins that choose one.
        Two are there unless they are given: "remembered", which is the usual one, and "browser", which ends with the
        browser, after two hours without a refresh, or after a day, whichever is first.
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
    lifetimes: Mapping[str, Lifetime] = field(default_factory=dict, hash=False)
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
    _named: Mapping[str, Lifetime] = field(init=False, repr=False, compare=False)

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
        usual = Lifetime(idle_ttl=self.idle_ttl, absolute_ttl=self.absolute_ttl)
        self._check_lifetime("", usual)
        if not isinstance(self.lifetimes, Mapping):
            raise ConfigurationError("lifetimes is a mapping from names to lifetimes.")
        given = {name: _lifetime_of(name, lifetime) for name, lifetime in self.lifetimes.items()}
        for name, lifetime in given.items():
            self._check_lifetime(f"lifetimes.{name}.", lifetime)
        object.__setattr__(self, "lifetimes", given)
        object.__setattr__(self, "_named", {REMEMBERED: usual, BROWSER: _browser(usual), **given})

    def lifetime(self, name: str) -> Lifetime:
        """The lifetime of this name; the usual one for "", and for a name that the policy no longer has."""
        return self._named.get(name) or self._named[REMEMBERED]

    @property
    def lifetime_names(self) -> Collection[str]:
        """The names that a login may choose from."""
        return self._named.keys()

    def _check_lifetime(self, prefix: str, lifetime: Lifetime) -> None:
        idle, absolute = f"{prefix}idle_ttl", f"{prefix}absolute_ttl"
        _check_duration(idle, lifetime.idle_ttl, least=1.0)
        _check_duration(absolute, lifetime.absolute_ttl, least=1.0)
        if not isinstance(lifetime.outlives_browser, bool):
            raise ConfigurationError(f"{prefix}outlives_browser is true or false.")
        for shorter, why in _SHORTER_THAN_IDLE:
            if getattr(self, shorter) >= lifetime.idle_ttl:
                raise ConfigurationError(f"{shorter} must be shorter than {idle}: {why}")
        if lifetime.idle_ttl > lifetime.absolute_ttl:
            raise ConfigurationError(
                f"{idle} must not be longer than {absolute}: a session can't be idle for longer than it may live."
            )


_CHOICES = {field.name: get_args(field.type) for field in fields(Policy) if get_origin(field.type) is Literal}
_MAY_BE_NONE = ("leeway", "clock_skew", "audit_ttl")
_DURATIONS = [field.name for field in fields(Policy) if field.type in (float, "float")]

_SHORTER_THAN_IDLE = [
    ("access_ttl", "otherwise the session has ended before its first refresh is due."),
    ("leeway", "the leeway is for a lost response, not for an absence."),
]
_ORDER = [
    ("clock_skew", "access_ttl", "otherwise an access token would live more than twice its lifetime."),
    ("signing_key_prepublish", "signing_key_ttl", "otherwise a key would be replaced before it signs."),
]


def _browser(usual: Lifetime) -> Lifetime:
    """A lifetime that ends with the browser, and is never longer than the usual one."""
    return Lifetime(
        idle_ttl=min(usual.idle_ttl, _BROWSER_IDLE),
        absolute_ttl=min(usual.absolute_ttl, _BROWSER_ABSOLUTE),
        outlives_browser=False,
    )


def _lifetime_of(name: object, given: object) -> Lifetime:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError("A lifetime's name is 1 to 50 lower-case letters, digits, - and _, a letter first.")
    if isinstance(given, Lifetime):
        return given
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"lifetimes.{name} is a Lifetime, or a mapping with idle_ttl and absolute_ttl.")
    try:
        return Lifetime(**given)
    except TypeError as problem:
        raise ConfigurationError(f"lifetimes.{name}: {str(problem).removeprefix('Lifetime.__init__() ')}.") from None


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
