"""Serve in one process, or in several.

Workers that share one listening socket share its connections badly: the first to wake up takes all that are waiting,
such as those of a proxy after a restart. On Linux, each worker has its own socket on the same port (SO_REUSEPORT), and
the kernel spreads the connections over them.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(config: uvicorn.Config) -> None:
    """Serve until the process is told to stop. Exits with STARTUP_FAILURE if the service can't start."""
    with contextlib.suppress(KeyboardInterrupt):
        if config.workers > 1:
            listening = config.bind_socket()
            Multiprocess(config, [_port_of(listening) if sys.platform == "linux" else listening]).run()
            return
        config.load_app()
        server = uvicorn.Server(config)
        server.run()
        if not server.started:
            sys.exit(STARTUP_FAILURE)


class _Port(socket.socket):
    """A socket that is handed over by its address: each worker binds its own."""

    def __reduce__(self) -> tuple[Callable[..., "_Port"], tuple[Any, ...]]:
        return _bound, (self.family, self.getsockname())


def _port_of(exclusive: socket.socket) -> _Port:
    """A port to share between workers, in place of a socket that has shown that nobody else listens there."""
    family, address = exclusive.family, exclusive.getsockname()
    exclusive.close()
    return _bound(family, address)


def _bound(family: int, address: Any) -> _Port:
    port = _Port(family)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    port.bind(address)
    return port
