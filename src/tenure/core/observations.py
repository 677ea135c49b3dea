"""What an instance observes about itself, as values, for metrics and traces.

Besides events: refused requests, the store's performance, and how soon it hears of sessions ended elsewhere. None of
these values contains a token; only events name a session and a subject.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tenure.core.events import Event

_log = logging.getLogger("tenure")

STORE_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
LAG_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0)
"""The steps of histograms of what is below."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused request, with its OAuth error code, and the reason if the code has several."""

    code: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A store call and how many seconds it took; `available` is false if the store did not respond."""

    call: str
    seconds: float
    available: bool


@dataclass(frozen=True, slots=True)
class Committed:
    """A transaction with this many calls."""

    size: int


@dataclass(frozen=True, slots=True)
class HeardRevoked:
    """A session's end, and how many seconds later this instance heard of it."""

    lag: float


Observation = Event | Refused | Answered | Committed | HeardRevoked
Observer = Callable[[Observation], object]


def each(observers: Sequence[Observer]) -> Observer:
    """One observer that calls all of them. An observer that raises is logged; the others are still called."""

    def tell(observation: Observation) -> None:
        for observer in observers:
            try:
                observer(observation)
            except Exception:  # noqa: BLE001 - the application's code: what it raises must not undo what has happened
                _log.exception("an observer failed")

    return tell
