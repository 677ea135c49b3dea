"""What to do next: the client's half of the protocol as a generator that does no I/O.

It is told what happened (a lock was free or not, what the storage holds, what the server answered or that it did not)
and says what to do. Four rules make it safe between threads, processes, crashes and lost answers:

1. The attempt key is stored *before* a refresh is sent, and stays until its answer is stored. Whoever comes next,
   another process or this one after a crash, sends the same token with the same key: the server takes that for a retry.
2. Under the lock, the storage is read again. Whoever waited takes what another has got, and does not refresh.
3. An answer is stored only if the storage still holds the token that it answers. A process that was frozen meanwhile
   finds a newer one there, and takes that.
4. Only `invalid_grant` ends the session, and only if the storage still holds the token that was refused.
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeVar

from tenure.errors import TenureError

LOCK_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.05

T = TypeVar("T")


class SignedOut(TenureError):
    """Nobody is logged in: a fresh login is needed. `reason` says why, as far as it is known."""

    code = "invalid_grant"

    def __init__(self, reason: str | None, message: str | None = None) -> None:
        over = "Nobody is logged in." if reason is None else f"The session is over ({reason}). Log in again."
        super().__init__(message or over)
        self.reason = reason


class RefreshFailed(TenureError):
    """No answer could be had that says whether the session goes on. It is kept; trying again later is right."""

    code = "temporarily_unavailable"


class OriginRefused(TenureError):
    """A request goes to where no token of this session may go."""

    code = "invalid_request"


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """What happened to the session: it was refreshed, or it is over (`reason`: as the server says, or logged_out)."""

    kind: Literal["signed_in", "refreshed", "signed_out"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client keeps. `attempt` is the key of a refresh that has begun and was not answered yet."""

    refresh_token: str = field(repr=False)
    access_token: str | None = field(default=None, repr=False)
    attempt: str | None = field(default=None, repr=False)

    def to_text(self) -> str:
        """The credentials as a storage keeps them."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str | None) -> "Credentials | None":
        """The credentials that a storage has kept; None for nothing, and for what can't be read."""
        try:
            kept = json.loads(text or "null")
            return None if kept is None else cls(kept["refresh_token"], kept["access_token"], kept["attempt"])
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered to a refresh."""

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
    """Take the storage's lock if it is free. Told: whether it was."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait a little."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """Read the storage. Told: the credentials, or None."""


@dataclass(frozen=True, slots=True)
class Save:
    """Write the storage."""

    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Clear:
    """Empty the storage."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a refresh, again for as long as that may help. Told: the Answer, or None where none came."""

    credentials: Credentials


Action = TryLock | Sleep | Load | Save | Clear | Send
Flow = Generator[Action, Any, T]


@dataclass(frozen=True, slots=True)
class Renewed:
    """How a renewal ended: with these credentials, which live for `expires_in` seconds more if that is known."""

    credentials: Credentials
    expires_in: float | None = None
    refreshed: bool = False


def renew(seen: str | None, fresh_key: Callable[[], str]) -> Flow[Renewed]:
    """Get an access token other than `seen`, which is missing, refused or about to expire.

    Raises SignedOut, and RefreshFailed where nothing definite could be learned.
    """
    waited, pause = 0.0, FIRST_PAUSE
    while not (yield TryLock()) and waited < LOCK_SECONDS:
        held = yield Load()
        if held is not None and held.access_token not in (None, seen):
            return Renewed(held)
        yield Sleep(pause)
        # Ever longer, so that many who wait don't keep the one who works from working.
        waited, pause = waited + pause, min(LONGEST_PAUSE, 1.5 * pause)
    # Without the lock after all that time: its holder is frozen, and the attempt key makes it safe to go on.
    held = yield Load()
    if held is None:
        raise SignedOut(None if seen is None else "logged_out")
    if held.access_token not in (None, seen):
        return Renewed(held)
    if held.attempt is None:
        held = replace(held, attempt=fresh_key())
        yield Save(held)
    answer = yield Send(held)
    now_held = yield Load()
    if now_held is None:
        raise SignedOut("logged_out")
    if now_held.refresh_token != held.refresh_token:
        return Renewed(now_held)
    return (yield from _take(answer, held))


def _take(answer: Answer | None, held: Credentials) -> Flow[Renewed]:
    if answer is None:
        raise RefreshFailed("The token endpoint can't be reached right now. The session is kept.")
    content = answer.content()
    if answer.status == 200 and isinstance(content.get("access_token"), str):
        # A server that does not rotate sends no refresh token: then the old one stays (RFC 6749 section 6).
        renewed = Credentials(content.get("refresh_token") or held.refresh_token, content["access_token"])
        yield Save(renewed)
        return Renewed(renewed, lifetime(content), refreshed=True)
    if 400 <= answer.status < 500 and content.get("error") == "invalid_grant":
        yield Clear()
        raise SignedOut(str(content.get("reason") or "invalid_grant"))
    raise RefreshFailed(f"The token endpoint answered {answer.status}. The session is kept.")


def lifetime(content: Mapping[str, Any]) -> float | None:
    """For how many seconds from now an access token lives, as an answer says (RFC 6749 section 5.1)."""
    value = content.get("expires_in")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def retry_after(answer: Answer | None) -> float | None:
    """Whether to send the same refresh again: None for no, else the seconds that the server asks to wait, or 0."""
    if answer is None:
        return 0.0
    garbled = answer.status == 200 and not isinstance(answer.content().get("access_token"), str)
    if answer.status != 429 and answer.status < 500 and not garbled:
        return None
    try:
        return max(0.0, float(answer.headers.get("retry-after", "0")))
    except ValueError:  # an HTTP date: wait as if it said nothing
        return 0.0


def says_invalid(status: int, challenge: str) -> bool:
    """Whether an answer says that the access token is invalid (RFC 6750 section 3.1), so that a new one may help.

    Some servers send a bare challenge, with no error code.
    """
    return (
        status == 401 and "bearer" in challenge.lower() and ("error=" not in challenge or "invalid_token" in challenge)
    )
