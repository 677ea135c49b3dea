"""Hearing of revocations as they happen, where a store can push them.

Never the only way: whatever is missed while a connection is made anew, the next poll of the feed finds.
"""

import threading
from collections.abc import Callable

AGAIN_SECONDS = 0.5

Heard = Callable[[str, float], None]
"""Is told a session's id and when it was revoked (seconds, UTC); may be called from any thread."""


class Listener:
    """A thread that runs `listen` until it is closed, and again whenever `trouble` ended it."""

    def __init__(
        self, listen: Callable[[threading.Event], None], trouble: tuple[type[Exception], ...], name: str
    ) -> None:
        self._listen = listen
        self._trouble = trouble
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen(self._closed)
            except self._trouble:
                self._closed.wait(AGAIN_SECONDS)
