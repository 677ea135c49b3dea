"""Two processes of the service on one PostgreSQL, against one: how much a second one adds on this machine."""

import asyncio
import contextlib
import statistics

import psutil
import uvloop

from benchmarks.peers.compare import RUNS, TENURE, free_port, load, serving
from benchmarks.report import report
from tests.stores.servers import Postgres


async def together(ports: list[int], tokens: list[str]) -> float:
    """Refreshes a second, the callers shared among the processes."""
    shares = [tokens[part :: len(ports)] for part in range(len(ports))]
    figures = await asyncio.gather(*[load(TENURE, port, share) for port, share in zip(ports, shares, strict=True)])
    for part, share in enumerate(shares):
        tokens[part :: len(ports)] = share
    return sum(rate for rate, _ in figures)


def main() -> None:
    with contextlib.closing(Postgres()) as server, contextlib.ExitStack() as running:
        tokens = TENURE.prepare(server.url())
        ports = []
        rates = []
        for _ in range(2):
            ports.append(free_port())
            command, settings = TENURE.serve(server.url(), ports[-1])
            command[command.index("--workers") + 1] = "1"
            running.enter_context(serving(command, settings, ports[-1]))
            uvloop.run(together(ports, tokens))  # to warm up
            psutil.cpu_percent()
            rates.append(statistics.median([uvloop.run(together(ports, tokens)) for _ in range(RUNS)]))
            busy = psutil.cpu_percent()
    report("one process of the service on PostgreSQL, refreshes a second over HTTP", value=rates[0])
    report(
        "two processes of the service against one",
        value=rates[1],
        ratio=rates[1] / rates[0],
        goal=1.6,
        processors_busy=busy / 100,
    )
