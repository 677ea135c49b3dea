"""What happened, as values: for the log, for metrics, for an application's own hook.

An event never contains a token, a nonce, a key or a password, only the session's id and the subject.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from tenure.core.binding import Bound

Kind = Literal[
    "logged_in",
    "refreshed",
    "retried",
    "rolled_back",
    "reuse_detected",
    "revoked",
    "expired",
    "forged_token_refused",
    "stolen_token_refused",
    "bound",
    "stepped_up",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a session.

    at: when, in seconds, UTC. session_id: hexadecimal, as in the access token's `sid`. generation: the presented
    refresh token's place in its family. reason and by: why a session was ended, and by whom. address: where a login, a
    theft or the end of a session came from, if known. bound: what the session is bound to, if anything: a "key" that
    its client keeps, or the browser's "device".
    """

    kind: Kind
    at: float
    session_id: str | None = None
    subject: str | None = None
    client_id: str | None = None
    generation: int | None = None
    reason: str | None = None
    by: str | None = None
    address: str | None = None
    bound: Bound | None = None


Hook = Callable[[Event], object]

_log = logging.getLogger("tenure")

_LEVELS: dict[str, int] = {
    "refreshed": logging.DEBUG,
    "reuse_detected": logging.WARNING,
    "stolen_token_refused": logging.WARNING,
    "rolled_back": logging.WARNING,
}


def tell(event: Event, hook: Hook | None) -> None:
    """Hand `event` to the log (logger "tenure", its fields as the record's `event`) and to the application's hook.

    A hook that raises is logged; the request goes on.
    """
    level = _LEVELS.get(event.kind, logging.INFO)
    if _log.isEnabledFor(level):
        _log.log(level, "%s", event.kind, extra={"event": {k: v for k, v in asdict(event).items() if v is not None}})
    if hook is None:
        return
    try:
        hook(event)
    except Exception:  # noqa: BLE001 - the application's code: what it raises must not undo what has happened
        _log.exception("the event hook failed on %s", event.kind)
