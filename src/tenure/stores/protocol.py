"""What a store is: one function from calls to answers, for blocking and for asyncio callers."""

from collections.abc import Callable
from typing import Protocol

from tenure.core.calls import Call, T


class Store(Protocol):
    """A place that keeps sessions, for blocking and for asyncio callers."""

    def run(self, call: Call[T]) -> T:
        """Answer one call. Raises StoreUnavailable where the store can't."""
        ...

    async def arun(self, call: Call[T]) -> T:
        """Answer one call without blocking the event loop. Raises StoreUnavailable where the store can't."""
        ...

    def watch(self, heard: Callable[[str, float], None]) -> None:
        """Call `heard` with each revocation as it happens, from a thread of the store's: its session's id, and when it
        was revoked (seconds, UTC). A store that can't push does nothing: its feed is polled anyway."""
        ...

    def close(self) -> None:
        """Finish what is under way and let go of files and connections. Calls after that raise StoreUnavailable."""
        ...

    def open(self) -> None:
        """Answer calls again after `close`; nothing changes where it is open."""
        ...
