"""POST /oauth/token on one worker, against an empty ASGI application that answers as many bytes on the same server.

Both are asked by the same caller: 64 connections that stay open, each with one request at a time.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import uvloop

from benchmarks.report import report
from tenure.http.clients import add_client

CONNECTIONS, REQUESTS, RUNS = 64, 150, 5


@contextlib.contextmanager
def serving(command: list[str], environment: dict[str, str]) -> Iterator[int]:
    """A server in a process of its own, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", *command, "--port", str(port)], env={**os.environ, **environment})
    try:
        for _ in range(200):
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"http://127.0.0.1:{port}/healthz")
                break
            time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    return await reader.readexactly(length)


async def load(port: int, request_of: Callable[[int], bytes], answered: Callable[[int, bytes], None]) -> float:
    """Requests a second."""

    async def connection(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(REQUESTS):
            answered(number, await exchange(reader, writer, request_of(number)))
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*[connection(number) for number in range(CONNECTIONS)])
    return CONNECTIONS * REQUESTS / (time.perf_counter() - begun)


def request(form: dict[str, str]) -> bytes:
    body = urlencode(form).encode()
    head = (
        "POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    from tenure import Tenure

    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        settings = {"TENURE_STORE": f"sqlite:///{folder}/bench.db", "TENURE_SECRET": "b" * 32}
        settings |= {"TENURE_LOG_LEVEL": "warning", "TENURE_ISSUER": "http://127.0.0.1:8000"}
        with Tenure(settings["TENURE_STORE"], secret="b" * 32, issuer="http://127.0.0.1:8000", audience="api") as auth:
            auth.run(add_client("app", os.urandom, public=True))
            tokens = [auth.login(f"user-{n}", client_id="app").refresh_token for n in range(CONNECTIONS)]
        size = 0

        def form(number: int) -> bytes:
            return request({"grant_type": "refresh_token", "client_id": "app", "refresh_token": tokens[number]})

        def keep(number: int, body: bytes) -> None:
            nonlocal size
            tokens[number], size = json.loads(body)["refresh_token"], len(body)

        ours, theirs = [], []
        with serving(["tenure", "serve"], settings) as port:
            for _ in range(RUNS):
                ours.append(uvloop.run(load(port, form, keep)))
        constant = form(0)
        command = ["uvicorn", "benchmarks.empty_app:app", "--log-level", "warning", "--no-server-header"]
        with serving(command, {"BENCH_BYTES": str(size)}) as port:
            for _ in range(RUNS):
                theirs.append(uvloop.run(load(port, lambda number: constant, lambda number, body: None)))
    token, empty = statistics.median(ours), statistics.median(theirs)
    report("POST /oauth/token a second, one worker", value=token, body_bytes=size)
    report("an empty ASGI application on the same server", value=empty)
    report("POST /oauth/token against an empty application", ratio=token / empty, goal=0.3)
