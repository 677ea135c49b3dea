"""The events of all workers, for the console: datagrams to a socket in a folder that only this user can read.

A worker never waits for the console. What can't be sent at once is dropped; the audit trail in the store has it.
Refreshes are too many to be sent; they are counted as metrics.
"""

import asyncio
import atexit
import json
import shutil
import socket
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from tenure.core.events import Event

VARIABLE = "_TENURE_CONSOLE_EVENTS"
"""Tells the workers where the socket is."""

KEPT = 200
_COUNTED_ONLY = ("refreshed",)
_HEARTBEAT_SECONDS = 10.0


class Teller:
    """The worker's end: a hook."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def tell(self, event: Event) -> None:
        """Send an event, if that is possible at once."""
        if event.kind in _COUNTED_ONLY:
            return
        try:
            self._socket.sendto(json.dumps(asdict(event)).encode(), self._path)
        except OSError:
            return

    def close(self) -> None:
        """Tell no more."""
        self._socket.close()


class Channel:
    """The console's end: the latest events, and a stream of those that follow."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="tenure-console-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.path = str(Path(folder) / "events")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.path)
        self.latest: deque[Event] = deque(maxlen=KEPT)
        self._listeners: set[asyncio.Queue[Event]] = set()

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    async def listen(self) -> None:
        """Receive what the workers send, until this is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.sock_recv(self._socket, 65536)
            self.hear(Event(**json.loads(data)))

    def hear(self, event: Event) -> None:
        """Keep an event, and hand it to whoever listens. The console's own come this way."""
        self.latest.appendleft(event)
        for listener in self._listeners:
            listener.put_nowait(event)

    async def follow(self) -> AsyncIterator[Event | None]:
        """The events from now on; None now and then, so that a listener who has gone is noticed."""
        listener: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.add(listener)
        try:
            while True:
                try:
                    yield await asyncio.wait_for(listener.get(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield None
        finally:
            self._listeners.discard(listener)
