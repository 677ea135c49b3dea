"""What a flow may ask of the outside, as values; the drivers are all that carries them out."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from tenure.events import Event
from tenure.stores.protocol import Call

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the application: a function and its arguments. `slow` ones must not hold up an event loop."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Let so many seconds go by."""

    seconds: float


Effect = Call[Any] | Ask | Event | Pause
Flow = Generator[Effect, Any, T]


def call(question: Call[T]) -> Flow[T]:
    """Yield a store call; what comes back has the call's own type."""
    return cast(T, (yield question))
