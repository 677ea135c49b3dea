"""The day after an outage: everybody refreshes at once.

All access tokens have expired, and every client asks within one second. Clients behave as tenure's own do: one attempt
key for a refresh, a deadline of ten seconds for each try, then the pause that the server asks for, or a random one that
doubles. Told: how many are served in a second while the crowd waits, how long it takes until everybody is in again, and
how many requests that costs a client.
"""

import asyncio
import contextlib
import os
import random
import secrets
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from benchmarks.http import serving
from benchmarks.report import report
from tenure import Tenure
from tenure.http.clients import add_client

CLIENTS = int(os.environ.get("BENCH_CLIENTS", "18000"))
DEADLINE_SECONDS, FIRST_PAUSE, LONGEST_PAUSE = 10.0, 0.5, 30.0
SECRET = "b" * 32


class Client:
    """One of the crowd."""

    def __init__(self, token: str) -> None:
        self.token, self.key, self.requests, self.seconds = token, secrets.token_urlsafe(18), 0, 0.0
        self.logged_out = False
        self.connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def come_back(self, port: int) -> None:
        """Refresh until there is an answer."""
        pause = FIRST_PAUSE
        while True:
            self.requests += 1
            begun = time.perf_counter()
            status, retry_after = 0, 0.0
            with contextlib.suppress(OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                status, retry_after = await asyncio.wait_for(self.ask(port), DEADLINE_SECONDS)
            self.seconds = time.perf_counter() - begun
            if status in (200, 400):
                self.logged_out = status == 400
                return
            await asyncio.sleep(retry_after or random.uniform(0, pause))
            pause = min(LONGEST_PAUSE, 2 * pause)

    async def ask(self, port: int) -> tuple[int, float]:
        await self.connect(port)
        assert self.connection is not None
        reader, writer = self.connection
        self.connection = None  # unless all goes well
        body = f"grant_type=refresh_token&client_id=app&refresh_token={self.token}"
        writer.write(
            f"POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nIdempotency-Key: {self.key}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        except BaseException:
            writer.close()
            raise
        self.connection = reader, writer
        waits = [line for line in head.split(b"\r\n") if line.startswith(b"retry-after:")]
        return int(head.split()[1]), float(waits[0].split()[1]) if waits else 0.0

    async def connect(self, port: int) -> None:
        """Open a connection, unless there is one that is open still."""
        if self.connection is not None and self.connection[0].at_eof():
            self.connection[1].close()
            self.connection = None
        if self.connection is None:
            self.connection = await asyncio.open_connection("127.0.0.1", port)


async def crowd(clients: list[Client], port: int) -> list[float]:
    """When each was in again, in seconds after the first came."""
    for client in clients:  # beforehand, as to open them takes the caller longer than the server takes to answer
        await client.connect(port)
    begun, back = time.perf_counter(), []

    async def one(client: Client) -> None:
        await asyncio.sleep(random.random())
        await client.come_back(port)
        back.append(time.perf_counter() - begun)

    await asyncio.gather(*[one(client) for client in clients])
    return sorted(back)


def main() -> None:
    random.seed(42)
    with tempfile.TemporaryDirectory(dir=".") as name:
        store = f"sqlite:///{Path(name).resolve()}/herd.db"
        settings = {"TENURE_STORE": store, "TENURE_SECRET": SECRET, "TENURE_LOG_LEVEL": "warning"}
        settings |= {"TENURE_ISSUER": "http://127.0.0.1:8000", "TENURE_WORKERS": "1"}
        with Tenure(store, secret=SECRET, issuer="http://127.0.0.1:8000", audience="api") as auth:
            auth.run(add_client("app", os.urandom, public=True))
            clients = [Client(auth.login(f"user-{n}", client_id="app").refresh_token) for n in range(CLIENTS)]
        with serving(["tenure", "serve"], settings) as port:
            back = uvloop.run(crowd(clients, port))
    requests = [client.requests for client in clients]
    slowest = statistics.quantiles([client.seconds for client in clients], n=100)[98]
    nearly_all = back[: CLIENTS * 9 // 10]
    report(f"{CLIENTS} clients at once: served a second, until 9 of 10 are in", value=len(nearly_all) / nearly_all[-1])
    report(f"{CLIENTS} clients at once: seconds until everybody is in again", value=back[-1])
    report(f"{CLIENTS} clients at once: requests a client", value=statistics.mean(requests), most=max(requests))
    report(f"{CLIENTS} clients at once: seconds for an answer, 99 of 100 within", value=slowest)
    report(f"{CLIENTS} clients at once: logged out", value=sum(client.logged_out for client in clients))


if __name__ == "__main__":
    main()
