"""A TCP forwarder that stands between a store and its server: an address that can move, and a network that can fail."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Self

Connect = Callable[[], socket.socket]


class Forwarder:
    """Listens on `port`. `target` connects to the server. What it does with the server's answers is set at any time.

    delay: seconds that each answer is held back. silent: answers never arrive. cut_answers: that many connections are
    cut where the next answer should have arrived: the server has done what it was asked, and nobody hears of it.
    """

    def __init__(self, target: Connect) -> None:
        self.target = target
        self.delay = 0.0
        self.silent = False
        self.cut_answers = 0
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def cut_next_answer(self) -> None:
        """End the connection on which the next answer should arrive."""
        self.cut_answers = 1

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = self.target()
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open += [client, server]
            for arguments in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers:
                    with self._lock:
                        cut = self.cut_answers > 0
                        self.cut_answers -= cut
                    if cut:
                        break
                    if self.delay:
                        time.sleep(self.delay)
                    while self.silent:
                        time.sleep(0.01)
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
