"""The effects a flow may yield, as values. Only the drivers carry them out."""

import logging
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from tenure.core.calls import Call
from tenure.core.errors import ApplicationFailed, TenureError
from tenure.core.events import Event

T = TypeVar("T")

_log = logging.getLogger("tenure")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the application: a function and its arguments.

    A plain function that is `slow` runs in a worker thread, so that it does not block an event loop.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    slow: bool = True


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for this many seconds."""

    seconds: float


Effect = Call[Any] | Ask | Event | Pause
Flow = Generator[Effect, Any, T]


def call(question: Call[T]) -> Flow[T]:
    """Yield a store call and return its result, typed."""
    return cast(T, (yield question))


def ask(what: str, function: Callable[..., Any], *arguments: Any, slow: bool = True) -> Flow[Any]:
    """Ask the application. `what` names the part ("claims", "authenticator") in the log.

    The application's own exceptions are logged with a traceback, without the arguments (one may be a password), and
    raised as ApplicationFailed. Errors of tenure pass through: an authenticator may raise LoginRefused, or meet an
    unavailable store.
    """
    try:
        return (yield Ask(function, arguments, slow))
    except TenureError:
        raise
    except Exception as problem:
        trace = "".join(traceback.format_exception(problem))
        for argument in arguments:
            if isinstance(argument, str) and argument:
                trace = trace.replace(argument, "…")
        _log.error("the application's %s failed\n%s", what, trace)
        raise ApplicationFailed from problem
