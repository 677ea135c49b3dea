"""The store step and the whole refresh on MariaDB, MySQL and PostgreSQL, one after the other, in the same run."""

import contextlib
import statistics

import uvloop

from benchmarks.refresh import store_step, whole
from benchmarks.report import report
from tests.stores.mysql_servers import KINDS, Mysql
from tests.stores.servers import Postgres

NAMES = {"mariadb": "MariaDB", "mysql": "MySQL"}


def main() -> None:
    with contextlib.closing(Postgres()) as postgres:
        beside = _figures(postgres.url())
    _report("PostgreSQL", beside, beside)
    for kind in KINDS:
        with contextlib.closing(Mysql(kind)) as server:
            _report(NAMES[kind], _figures(server.url()), beside)


def _figures(url: str) -> tuple[float, float]:
    return statistics.median(uvloop.run(store_step(url))), statistics.median(uvloop.run(whole(url)))


def _report(name: str, figures: tuple[float, float], beside: tuple[float, float]) -> None:
    steps, refreshes = figures
    report(f"{name}: store steps a second, 256 callers", value=steps, ratio=steps / beside[0])
    report(f"{name}: whole refreshes a second in one process", value=refreshes, ratio=refreshes / beside[1])
