"""Receive revocations as they happen, from stores that push them.

The feed is polled as well, which finds anything missed during a reconnect.
"""

import threading
from collections.abc import Callable

AGAIN_SECONDS = 0.5

Heard = Callable[[str, float], None]
"""Is told a session's id and when it was revoked (seconds, UTC); may be called from any thread."""


class Listener:
    """A thread that runs `listen` until it is closed, and restarts it after any exception in `trouble`."""

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
