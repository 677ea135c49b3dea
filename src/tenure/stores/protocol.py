"""The store protocol: one function from calls to results, for blocking and asyncio callers."""

from collections.abc import Callable
from typing import Protocol

from tenure.core.calls import Call, T


class Store(Protocol):
    """Keeps sessions, for blocking and asyncio callers."""

    def run(self, call: Call[T]) -> T:
        """Run one call. Raises StoreUnavailable."""
        ...

    async def arun(self, call: Call[T]) -> T:
        """Run one call without blocking the event loop. Raises StoreUnavailable."""
        ...

    def watch(self, heard: Callable[[str, float], None]) -> None:
        """Call `heard` with each revocation as it happens, from a thread of the store: the session's id, and when it
        was revoked (seconds, UTC). A store that can't push does nothing; its feed is polled anyway."""
        ...

    def close(self) -> None:
        """Finish the calls in progress and close files and connections. Later calls raise StoreUnavailable."""
        ...

    def open(self) -> None:
        """Accept calls again after `close`. Does nothing if the store is open."""
        ...
