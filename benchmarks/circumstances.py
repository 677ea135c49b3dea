"""What it costs to ask the application for claims at each refresh, and to have a PgBouncer between."""

import contextlib
import shutil
import statistics
import tempfile
from typing import Any

import uvloop

from benchmarks.refresh import whole
from benchmarks.report import report
from tests.stores.servers import PgBouncer, postgres_database


def plain(_: object) -> dict[str, Any]:
    return {"roles": ["editor"]}


async def awaited(_: object) -> dict[str, Any]:
    return {"roles": ["editor"]}


def rate(url: str, **settings: Any) -> float:
    return statistics.median(uvloop.run(whole(url, **settings)))


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        without = rate(f"sqlite:///{folder}/without.db")
        report("refreshes a second, SQLite, 256 callers, no claims callable", value=without)
        for name, claims in (("an async", awaited), ("a plain", plain)):
            value = rate(f"sqlite:///{folder}/{name}.db", claims=claims)
            report(f"the same with {name} function for claims", value=value, ratio=value / without)
    direct = rate(postgres_database())
    report("refreshes a second, PostgreSQL, 256 callers", value=direct)
    if shutil.which("pgbouncer") is None:
        return
    for mode in ("session", "transaction"):
        with contextlib.closing(PgBouncer(mode)) as between:
            value = rate(between.url(postgres_database()))
        report(f"the same through PgBouncer, {mode} mode", value=value, ratio=value / direct)
