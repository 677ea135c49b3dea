"""Several worker processes on one port."""

import contextlib
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tenure.server.settings import load
from tenure.server.workers import processors
from tests.service.process import service, tenure


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux spreads connections over sockets")
def test_each_worker_gets_connections_that_come_at_once(tmp_path: Path) -> None:
    """As a proxy opens them after a restart: all before anybody has answered."""
    with service(tmp_path, "--workers", "2") as url:
        port = int(url.rpartition(":")[2])
        for _ in range(400):  # until the second worker listens as well
            if len(_owners(port, "LISTEN")) == 2:
                break
            time.sleep(0.05)
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(64)]
        time.sleep(0.3)
        owners = _owners(port, "ESTABLISHED")
        for one in sockets:
            one.close()
    assert sum(owners.values()) == 64
    assert min(owners.values()) >= 10, owners
    assert len(owners) == 2


def _owners(port: int, status: str) -> Counter[int]:
    """Which processes have how many sockets of that status at the port's side."""
    return Counter(
        process.pid
        for process in psutil.process_iter()
        for connection in _connections(process)
        if connection.status == status and connection.laddr and connection.laddr.port == port
    )


def _connections(process: psutil.Process) -> list[Any]:
    try:
        return process.net_connections("tcp")
    except psutil.Error:
        return []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_said(tmp_path: Path, workers: str) -> None:
    with service(tmp_path, "--workers", workers) as url:
        port = url.rpartition(":")[2]
        second = tenure(tmp_path, "serve", "--workers", workers, "--port", port)
    assert second.returncode != 0
    assert "address already in use" in second.stderr.lower()


def test_a_worker_that_dies_is_replaced_on_the_same_port(tmp_path: Path) -> None:
    with service(tmp_path, "--workers", "2") as url:
        (parent,) = [p for p in psutil.Process().children(recursive=True) if "serve" in p.cmdline()]
        victim = next(p for p in parent.children() if "spawn_main" in " ".join(p.cmdline()))
        victim.kill()
        answered = []
        for _ in range(100):
            with contextlib.suppress(httpx2.TransportError):
                answered.append(httpx2.get(f"{url}/healthz").status_code)
            time.sleep(0.03)
        workers = [p for p in parent.children() if "spawn_main" in " ".join(p.cmdline())]
    assert len(workers) == 2
    assert victim.pid not in {p.pid for p in workers}
    assert answered[-20:] == [200] * 20


def test_as_many_workers_as_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENURE_WORKERS", "auto")
    assert load(None, {}).workers == processors() >= 1
