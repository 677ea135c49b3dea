"""The client's half of the protocol, as generators that do no I/O.

A flow yields the next step and is sent the result: whether a lock was free, what the storage holds, how the server
responded. Five rules make it safe across threads, processes, crashes and lost responses:

1. The attempt key is stored *before* a refresh is sent, and stays until the response is stored. Whoever comes next,
   another process or this one after a crash, sends the same token with the same key: the server takes that for a retry.
2. Under the lock, the storage is read again. Whoever waited takes what another has got, a token or a failure.
3. The storage is changed only if it still holds what was read. An answer to a token that was replaced, or whose owner
   has logged out meanwhile, is dropped.
4. Only `invalid_grant` ends the session, and only if the storage still holds the token that was refused.
5. After a failure nobody tries again for a moment, unless asked to.
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from tenure.client.errors import RefreshFailed, SignedOut
from tenure.client.record import Credentials, Record

LOCK_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.05
_LONGEST_LIFETIME = 10 * 365 * 86400.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def content(self) -> dict[str, Any]:
        """The JSON object in the body, or an empty one."""
        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}


@dataclass(frozen=True, slots=True)
class TryLock:
    """Take the storage's lock if it is free. Result: whether it was."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait a little."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """Read the storage. Result: the record."""


@dataclass(frozen=True, slots=True)
class Swap:
    """Write `record` if the storage still holds `expected`. Result: the record as stored, or None if it was not
    written."""

    expected: Record
    record: Record


@dataclass(frozen=True, slots=True)
class Refresh:
    """Send a refresh. Result: the Answer, or None if none came. thorough: retry for as long as that may help."""

    credentials: Credentials
    thorough: bool = True


@dataclass(frozen=True, slots=True)
class LogOut:
    """Send a log-out to the server, once. Result: the Answer, or None if none came."""

    refresh_token: str = field(repr=False)


Action = TryLock | Sleep | Load | Swap | Refresh | LogOut
Flow = Generator[Action, Any, T]


@dataclass(frozen=True, slots=True)
class Renewed:
    """The outcome of a renewal: these credentials, which this renewal or an earlier one has obtained."""

    credentials: Credentials
    refreshed: bool = False


def renew(
    seen: str | None,
    fresh_key: Callable[[], str],
    clock: Callable[[], float],
    *,
    thorough: bool = True,
    asked: bool = False,
) -> Flow[Renewed]:
    """Get an access token other than `seen`, which is missing, refused or about to expire.

    thorough: retry for as long as that may help; otherwise, and after a failure, try once. asked: try even if a refresh
    has just failed. Raises SignedOut, and RefreshFailed if the server gave no definite response.
    """
    begun = yield from _begin(seen, fresh_key, clock, asked)
    if isinstance(begun, Renewed):
        return begun
    kept, held = begun
    answer = yield Refresh(held, thorough and kept.failed_at is None)
    renewed = yield from _settle(answer, kept, held, clock)
    if kept.logouts:
        yield from tell_logouts(clock)
    return renewed


def enter(credentials: Credentials) -> Flow[None]:
    """Begin with these credentials. A session that they replace is logged out."""
    while True:
        kept = yield Load()
        replaced = kept.logged_out() if _is_another_session(kept.credentials, credentials) else kept
        if (yield Swap(kept, replaced.succeeded(credentials))) is not None:
            return


def leave() -> Flow[bool]:
    """Log out locally, at once. Returns whether somebody was logged in."""
    while True:
        kept = yield Load()
        if kept.credentials is None:
            return False
        if (yield Swap(kept, kept.logged_out())) is not None:
            return True


def tell_logouts(clock: Callable[[], float]) -> Flow[bool]:
    """Send the log-outs that the server has not acknowledged. Returns whether it has acknowledged all of them."""
    kept = yield Load()
    while kept.logouts:
        token = kept.logouts[0]
        answer = yield LogOut(token)
        if not is_definite(answer):
            if kept.credentials is None:
                yield Swap(kept, kept.failed(clock(), retry_after(answer)))
            return False
        kept = (yield Swap(kept, kept.acknowledged(token))) or (yield Load())
    return True


def _begin(
    seen: str | None, fresh_key: Callable[[], str], clock: Callable[[], float], asked: bool
) -> Flow[Renewed | tuple[Record, Credentials]]:
    """Take the lock and store the attempt key, unless another process has refreshed meanwhile, or has tried and
    failed."""
    came_at = clock()
    waited, pause = 0.0, FIRST_PAUSE
    while not (yield TryLock()) and waited < LOCK_SECONDS:
        kept: Record = yield Load()
        if (found := _another(kept, seen, clock())) is not None:
            return found
        yield Sleep(pause)
        # Back off, so that many waiting processes don't slow down the one that refreshes.
        waited, pause = waited + pause, min(LONGEST_PAUSE, 1.5 * pause)
    # Go on without the lock: its holder must be frozen, and the attempt key makes that safe.
    while True:
        kept = yield Load()
        held = kept.credentials
        is_paused = kept.is_paused(clock()) and not (asked and (kept.failed_at or 0.0) < came_at)
        if held is None:
            if kept.logouts and not is_paused:
                yield from tell_logouts(clock)
            raise SignedOut(None if seen is None else "logged_out")
        if (found := _another(kept, seen, clock())) is not None:
            return found
        if is_paused:
            raise RefreshFailed("The token endpoint could not be reached a moment ago. The session is kept.")
        if held.attempt is not None:
            return kept, held
        held = replace(held, attempt=fresh_key())
        begun = yield Swap(kept, replace(kept, credentials=held))
        if begun is not None:
            return begun, held


def _another(kept: Record, seen: str | None, now: float) -> Renewed | None:
    """What the storage holds, if it is another access token than `seen` and has not expired."""
    held = kept.credentials
    if held is None or held.access_token in (None, seen) or held.has_expired(now):
        return None
    return Renewed(held)


def _settle(answer: Answer | None, kept: Record, held: Credentials, clock: Callable[[], float]) -> Flow[Renewed]:
    """Store the result of a refresh, unless the storage holds another token by now."""
    outcome = _understood(answer, held, clock())
    while True:
        if isinstance(outcome, Credentials):
            settled = kept.succeeded(outcome)
        elif isinstance(outcome, SignedOut):
            settled = kept.succeeded(None)
        else:
            settled = kept.failed(clock(), retry_after(answer))
        if (yield Swap(kept, settled)) is not None:
            break
        kept = yield Load()
        if kept.credentials is None:
            raise SignedOut("logged_out")
        if kept.credentials.refresh_token != held.refresh_token:
            return Renewed(kept.credentials)
    if isinstance(outcome, Credentials):
        return Renewed(outcome, refreshed=True)
    raise outcome


def _understood(answer: Answer | None, held: Credentials, now: float) -> Credentials | SignedOut | RefreshFailed:
    if answer is None:
        return RefreshFailed("The token endpoint can't be reached right now. The session is kept.")
    content = answer.content()
    if answer.status == 200 and has_tokens(content):
        # A server that does not rotate sends no refresh token; the old one stays valid (RFC 6749 section 6).
        return credentials_in(content, content.get("refresh_token") or held.refresh_token, now)
    if 400 <= answer.status < 500 and content.get("error") == "invalid_grant":
        return SignedOut(str(content.get("reason") or "invalid_grant"))
    return RefreshFailed(f"The token endpoint answered {answer.status}. The session is kept.")


def _is_another_session(old: Credentials | None, new: Credentials) -> bool:
    """Whether these are tokens of two sessions of tenure. Those of one session share their first 26 characters."""
    if old is None or old.refresh_token == new.refresh_token:
        return False
    own = old.refresh_token.startswith("tnr1_") and new.refresh_token.startswith("tnr1_")
    return own and old.refresh_token[:26] != new.refresh_token[:26]


def has_tokens(content: Mapping[str, Any]) -> bool:
    """Whether a response has usable tokens."""
    refresh_token = content.get("refresh_token")
    return isinstance(content.get("access_token"), str) and (refresh_token is None or isinstance(refresh_token, str))


def credentials_in(content: Mapping[str, Any], refresh_token: str, now: float) -> Credentials:
    """The credentials in a response that came at `now` (seconds, UTC)."""
    lives = lifetime(content.get("expires_in"))
    expires_at = None if lives is None else now + lives
    bound = str(content.get("token_type")).lower() == "dpop"
    return Credentials(refresh_token, content["access_token"], obtained_at=now, expires_at=expires_at, bound=bound)


def lifetime(value: object) -> float | None:
    """The remaining lifetime of an access token in seconds (`expires_in`, RFC 6749 section 5.1), or None if unknown."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LONGEST_LIFETIME:
        return None
    return float(value)


def is_definite(answer: Answer | None) -> bool:
    """Whether the response is final, so that sending the same request again would change nothing."""
    return answer is not None and answer.status != 429 and answer.status < 500


def is_garbled(answer: Answer | None) -> bool:
    """Whether a successful response to a refresh has no readable tokens."""
    return answer is not None and answer.status == 200 and not has_tokens(answer.content())


def retry_after(answer: Answer | None) -> float:
    """How many seconds the server asks the client to wait; 0 if it does not say."""
    if answer is None:
        return 0.0
    try:
        return max(0.0, float(answer.headers.get("retry-after", "0")))
    except ValueError:  # an HTTP date is ignored
        return 0.0


def says_invalid(status: int, challenge: str) -> bool:
    """Whether a response says that the access token is invalid (RFC 6750 section 3.1), so that a new one may help.

    Some servers send a bare challenge, with no error code.
    """
    schemes = challenge.lower()
    known = "bearer" in schemes or "dpop" in schemes
    return status == 401 and known and ("error=" not in challenge or "invalid_token" in challenge)
