"""Runs tenure and its peers one after the other on one PostgreSQL server, and asks the same of each."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx2
import psycopg
import uvloop

from benchmarks.report import report
from tenure import Tenure
from tenure.http.clients import add_client
from tests.stores.servers import Postgres

WORKERS, CALLERS, RUNS, SECONDS = 2, 64, 3, 4.0
SESSIONS = CALLERS + 8
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
SECRET = "a-secret-for-benchmarks-of-32-bytes"


@dataclass(frozen=True)
class Peer:
    """How one of them is prepared, served and asked."""

    name: str
    prepare: Callable[[str], list[str]]
    serve: Callable[[str, int], tuple[list[str], dict[str, str]]]
    request: Callable[[str], tuple[str, str, str]]  # a token gives path, content type, body
    token: str  # the answer's field that holds the next one
    tables: str  # what its tables are called


def _django(module: str) -> Callable[[str], list[str]]:
    def prepare(database: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.peers.{module}", str(SESSIONS)],
            env={**os.environ, "PEER_DATABASE": database},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return prepare


def _gunicorn(module: str) -> Callable[[str, int], tuple[list[str], dict[str, str]]]:
    """With its plain workers, which it documents first. With threads, connections stay open, but it is half as fast."""

    def serve(database: str, port: int) -> tuple[list[str], dict[str, str]]:
        command = ["gunicorn", f"benchmarks.peers.{module}:application", "--workers", str(WORKERS)]
        command += ["--log-level", "error"]
        return [*command, "--bind", f"127.0.0.1:{port}"], {"PEER_DATABASE": database}

    return serve


def _prepare_tenure(database: str) -> list[str]:
    with Tenure(database, secret=SECRET, issuer="http://127.0.0.1:8000", audience="api") as auth:
        auth.run(add_client("app", os.urandom, public=True))
        return [auth.login(f"user-{number}", client_id="app").refresh_token for number in range(SESSIONS)]


def _serve_tenure(database: str, port: int, workers: int = WORKERS) -> tuple[list[str], dict[str, str]]:
    settings = {"TENURE_STORE": database, "TENURE_SECRET": SECRET, "TENURE_LOG_LEVEL": "error"}
    settings |= {"TENURE_ISSUER": "http://127.0.0.1:8000"}
    return ["tenure", "serve", "--workers", str(workers), "--port", str(port)], settings


def _form(path: str) -> Callable[[str], tuple[str, str, str]]:
    def request(token: str) -> tuple[str, str, str]:
        form = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": token}
        return path, "application/x-www-form-urlencoded", urlencode(form)

    return request


TENURE = Peer("tenure", _prepare_tenure, _serve_tenure, _form("/oauth/token"), "refresh_token", "tenure_%")
PEERS = [
    TENURE,
    Peer(
        "djangorestframework-simplejwt",
        _django("simplejwt"),
        _gunicorn("simplejwt"),
        lambda token: ("/token/refresh/", "application/json", json.dumps({"refresh": token})),
        "refresh",
        "token_blacklist_%",
    ),
    Peer(
        "django-oauth-toolkit",
        _django("oauth_toolkit"),
        _gunicorn("oauth_toolkit"),
        _form("/o/token/"),
        "refresh_token",
        "oauth2_provider_%",
    ),
]


@contextlib.contextmanager
def serving(command: list[str], settings: dict[str, str], port: int) -> Iterator[None]:
    """A server with its workers, until it is not needed any more."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env={**os.environ, **settings}, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(400):
            assert process.poll() is None, f"{command[0]} does not start"
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"http://127.0.0.1:{port}/")
                break
            time.sleep(0.05)
        time.sleep(1)  # for the other workers
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


class Caller(asyncio.Protocol):
    """One connection, opened again where the server closes it, with one request at a time. Costs as little as it can:
    it runs on the same processors as what is measured."""

    def __init__(self, peer: Peer, port: int) -> None:
        self._peer, self._port = peer, port
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[bytes]
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found:
            length = _LENGTH.search(head)
            assert length is not None, self._received
            if len(body) == int(length[1]):
                answer, self._received = self._received, b""
                self._answered.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    async def refresh(self, token: str) -> str | None:
        """The next refresh token, or None where this one is refused."""
        path, kind, body = self._peer.request(token)
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        loop = asyncio.get_running_loop()
        if self._transport is None:
            self._transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        self._answered = loop.create_future()
        self._transport.write((head + body).encode())
        head, _, content = (await self._answered).partition(b"\r\n\r\n")
        if b"connection: close" in head.lower():
            self.close()
        assert head[9:12] in (b"200", b"400", b"401"), head
        return json.loads(content)[self._peer.token] if head[9:12] == b"200" else None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


async def load(peer: Peer, port: int, tokens: list[str]) -> tuple[float, float]:
    """Refreshes a second, and the 99th percentile of their seconds, with as many callers as there are tokens."""
    times: list[float] = []
    begun = time.perf_counter()

    async def call(number: int) -> None:
        caller = Caller(peer, port)
        while time.perf_counter() - begun < SECONDS:
            sent = time.perf_counter()
            following = await caller.refresh(tokens[number])
            times.append(time.perf_counter() - sent)
            assert following is not None
            tokens[number] = following
        caller.close()

    await asyncio.gather(*[call(number) for number in range(len(tokens))])
    return len(times) / (time.perf_counter() - begun), statistics.quantiles(times, n=100)[98]


async def race(peer: Peer, port: int, token: str) -> int:
    """How many of the children of eight refreshes of one token at once can still be used."""
    callers = [Caller(peer, port) for _ in range(8)]
    children = await asyncio.gather(*[caller.refresh(token) for caller in callers])
    alive = 0
    for child in children:
        alive += child is not None and await callers[0].refresh(child) is not None
    for caller in callers:
        caller.close()
    return alive


async def lose(peer: Peer, port: int, token: str) -> str:
    """What becomes of a client that never got the answer, and asks again with the token that it has."""
    caller = Caller(peer, port)
    await caller.refresh(token)
    again = await caller.refresh(token)
    stays = again is not None and await caller.refresh(again) is not None
    caller.close()
    return "stays logged in" if stays else "is logged out"


def bytes_of(database: str, peer: Peer) -> int:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("VACUUM")
        tables = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class WHERE relkind = 'r'"
        return int(connection.execute(f"{tables} AND relname LIKE %s", [peer.tables]).fetchone()[0])


def statements(server: Postgres, run: Callable[[], int]) -> float:
    """Statements a refresh, transaction control left out, counted in the server's own log."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)
    before = len(server.log())
    refreshes = run()
    lines = server.log()[before:]
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM RESET log_statement")
        connection.execute("SELECT pg_reload_conf()")
    said = re.findall(r"LOG:  (?:statement|execute [^:]*): (?!BEGIN|COMMIT|SAVEPOINT|RELEASE|ROLLBACK)(.*)", lines)
    upkeep = ("tenure_revocations WHERE position >", "FROM tenure_records WHERE kind", "DELETE FROM", "ALTER SYSTEM")
    return len([one for one in said if not any(part in one for part in upkeep)]) / refreshes


async def one_by_one(peer: Peer, port: int, token: str, times: int) -> int:
    caller = Caller(peer, port)
    following: str | None = token
    for _ in range(times):
        assert following is not None
        following = await caller.refresh(following)
    caller.close()
    return times


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(peer: Peer, server: Postgres) -> dict[str, float]:
    name = re.sub(r"\W", "_", peer.name)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    database, port = server.url(name), free_port()
    tokens = peer.prepare(database)
    busy, others = tokens[:CALLERS], tokens[CALLERS:]
    with serving(*peer.serve(database, port), port):
        uvloop.run(load(peer, port, busy))  # to warm up
        before = bytes_of(database, peer)
        figures = [uvloop.run(load(peer, port, busy)) for _ in range(RUNS)]
        refreshes = sum(rate for rate, _ in figures) * SECONDS
        added = (bytes_of(database, peer) - before) / refreshes
        rate, p99 = (statistics.median(column) for column in zip(*figures, strict=True))
        asked = statements(server, lambda: asyncio.run(one_by_one(peer, port, others[0], 50)))
        alive = asyncio.run(race(peer, port, others[1]))
        lost = asyncio.run(lose(peer, port, others[2]))
    report(
        f"{peer.name}: refreshes a second over HTTP, {WORKERS} workers, {CALLERS} callers, PostgreSQL",
        value=rate,
        p99_ms=p99 * 1e3,
        statements_a_refresh=asked,
        bytes_a_refresh=added,
        live_children_of_8_concurrent_refreshes=alive,
        a_client_that_loses_a_response=lost,
    )
    return {"rate": rate}


def main() -> None:
    with contextlib.closing(Postgres()) as server:
        rates = {peer.name: measure(peer, server)["rate"] for peer in PEERS}
    for peer in PEERS[1:]:
        report(f"refreshes over HTTP against {peer.name}", ratio=rates["tenure"] / rates[peer.name], goal=30)
