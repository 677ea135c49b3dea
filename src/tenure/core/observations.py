"""What an instance observes of itself, as values: for metrics and traces, whoever takes them.

Beside the events, that is what it refuses, how its store does, and how soon it hears of ended sessions elsewhere. None
of these values names a token; only events name a session and a subject.
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
    """A request that was refused, with its OAuth code, and the reason where the code has several."""

    code: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that the store has answered after so many seconds; `available` is false where it could not."""

    call: str
    seconds: float
    available: bool


@dataclass(frozen=True, slots=True)
class Committed:
    """A batch of so many calls, in one transaction."""

    size: int


@dataclass(frozen=True, slots=True)
class HeardRevoked:
    """An ended session that was heard of so many seconds after its end."""

    lag: float


Observation = Event | Refused | Answered | Committed | HeardRevoked
Observer = Callable[[Observation], object]


def each(observers: Sequence[Observer]) -> Observer:
    """One observer that tells all of them. One that fails is logged, and costs nobody anything."""

    def tell(observation: Observation) -> None:
        for observer in observers:
            try:
                observer(observation)
            except Exception:  # noqa: BLE001 - the application's code: what it raises must not undo what has happened
                _log.exception("an observer failed")

    return tell
