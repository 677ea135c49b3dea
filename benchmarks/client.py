"""The Python client: what it costs where no refresh is needed, and how many refreshes an expiry causes."""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2

from benchmarks.report import report, timed
from tenure.client import FileStorage, Session
from tests.client.live import PASSWORD, Live, late

REQUESTS, PROCESSES, RUNS = 2000, 50, 3
SLOW_REFRESH = 0.2

PROCESS = """
import sys, httpx2
from tenure.client import FileStorage, Session
session = Session(sys.argv[1] + "/auth", storage=FileStorage(sys.argv[2]))
client = httpx2.Client(auth=session.auth, timeout=30)
client.get(sys.argv[1] + "/api/me").raise_for_status()
print("ready", flush=True)
for line in sys.stdin:
    print(client.get(sys.argv[1] + "/api/me").status_code, flush=True)
"""


def overhead(session: Session, url: str) -> float:
    """Microseconds a request, with the auth less without, over a transport that answers at once; the two in turns."""

    def per_request(**how: object) -> float:
        with httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(200)), **how) as client:
            return timed(lambda: [client.get(url) for _ in range(REQUESTS)], REQUESTS, 1) * 1e6

    per_request()
    return statistics.median(per_request(auth=session.auth) - per_request() for _ in range(9))


def concurrent_tasks(live: Live, session: Session) -> int:
    """Refreshes that a thousand requests at expiry cause."""

    async def call_all() -> None:
        limits = httpx2.Limits(max_connections=50)
        async with httpx2.AsyncClient(auth=session.auth, timeout=60, limits=limits) as client:
            answers = await asyncio.gather(*[client.get(f"{live.url}/api/me") for _ in range(1000)])
        assert {answer.status_code for answer in answers} == {200}

    before = live.refreshes
    live.expire()
    asyncio.run(call_all())
    return live.refreshes - before


def processes(live: Live, path: Path) -> tuple[list[int], list[float]]:
    """Refreshes that each expiry causes with all processes at once, and seconds until the last of them goes on."""
    command = [sys.executable, "-c", PROCESS, live.url, str(path)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    counts, times = [], []
    for _ in range(RUNS):
        live.expire()
        live.faults.append(late(SLOW_REFRESH))
        before, begun = live.refreshes, time.perf_counter()
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert {process.stdout.readline() for process in started} == {"200\n"}
        times.append(time.perf_counter() - begun)
        counts.append(live.refreshes - before)
    begun = time.perf_counter()  # the same without an expiry: what fifty processes need for one request each
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        process.stdout.readline()
    report("50 processes, one request each, no expiry", ms=(time.perf_counter() - begun) * 1e3)
    for process in started:
        process.stdin.close()
        process.wait()
    return counts, times


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        live = Live(folder)
        try:
            session = Session(live.base, storage=FileStorage(folder / "session"))
            session.login("ada", PASSWORD)
            report("httpx auth where no refresh is needed", us=overhead(session, f"{live.url}/api/me"), goal=20)
            report(
                "refreshes of 1,000 concurrent asyncio requests at expiry",
                value=concurrent_tasks(live, session),
                goal=1,
            )
            counts, times = processes(live, folder / "session")
        finally:
            live.close()
    report(
        "50 processes at expiry",
        refreshes_each_time=counts,
        ms_beyond_the_refresh=(statistics.median(times) - SLOW_REFRESH) * 1e3,
        goal_ms=200,
    )
