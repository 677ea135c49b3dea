"""Ending everybody's sessions while others go on refreshing: how soon it holds, how long it takes, whom it delays.

`TENURE_SESSIONS=10000000 python -m benchmarks endings` for more than the million that it makes by default.
"""

import asyncio
import os
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.report import report
from tenure import AsyncTenure, InvalidGrant, Tenure
from tenure.stores.sqlite.schema import open_file
from tests.stores.servers import postgres_database

SESSIONS = int(os.environ.get("TENURE_SESSIONS", "1000000"))
SETTINGS: dict[str, Any] = {
    "secret": "benchmarks-benchmarks-benchmarks-0123456789",
    "issuer": "https://api.example.com",
    "audience": "api",
}
CALLERS = 8


async def main_for(name: str, url: str, fill: Any) -> None:
    with Tenure(url, **SETTINGS) as auth:
        auth.login("template")
    fill()
    auth = AsyncTenure(url, **SETTINGS)
    async with auth:
        victim = await auth.login("victim")
        await asyncio.sleep(1.1)  # a cutoff is for whole seconds
        before = time.time()
        report(f"{name}: sessions", value=(await auth.overview(exact=True)).live)
        await asyncio.sleep(1.1)
        alone = await refreshing(auth, asyncio.create_task(asyncio.sleep(10)))
        begun = time.perf_counter()
        ending = asyncio.create_task(auth.revoke_where(before=before))
        holds = None
        while holds is None:
            try:
                victim = await auth.refresh(victim.refresh_token)
            except InvalidGrant:
                holds = time.perf_counter() - begun
        meanwhile = await refreshing(auth, ending)
        took = time.perf_counter() - begun
        report(f"{name}: seconds until a session that is ended can't refresh", value=holds)
        report(f"{name}: sessions ended a second", value=ending.result() / took)
        for what, pick in (("median", 50), ("p99", 99)):
            first, then = (statistics.quantiles(one, n=100)[pick - 1] * 1000 for one in (alone, meanwhile))
            report(f"{name}: {what} of a refresh meanwhile, ms", value=then, ratio=then / first)


async def refreshing(auth: AsyncTenure, until: "asyncio.Task[Any]") -> list[float]:
    """The times of refreshes by a few callers, until a task is done."""
    times: list[float] = []

    async def caller() -> None:
        pair = await auth.login("somebody")
        while not until.done():
            begun = time.perf_counter()
            pair = await auth.refresh(pair.refresh_token)
            times.append(time.perf_counter() - begun)
            await asyncio.sleep(0.005)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return times


def copies_of_the_template(columns: list[str], random_id: str, numbers: str, table: str) -> str:
    """SQL that fills a store with sessions that differ from its only one by their ids and subjects."""
    values = [{"id": random_id, "subject": "'user-' || i"}.get(name, name) for name in columns]
    template = f"(SELECT * FROM {table} LIMIT 1) AS template"
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {numbers}, {template}"


def fill_sqlite(path: str) -> None:
    with closing(open_file(Path(path))) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(sessions)")]
        numbers = f"numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {SESSIONS})"
        statement = copies_of_the_template(columns, "randomblob(16)", "numbers", "sessions")
        connection.execute(f"WITH RECURSIVE {numbers} {statement}")


def fill_postgres(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute("SELECT * FROM tenure_sessions LIMIT 0")
        columns = [column.name for column in cursor.description or ()]
        numbers = f"generate_series(1, {SESSIONS}) AS i"
        random_id = "decode(md5(random()::text || i), 'hex')"
        connection.execute(copies_of_the_template(columns, random_id, numbers, "tenure_sessions"))  # type: ignore[call-overload]
        connection.execute("VACUUM ANALYZE tenure_sessions")


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = f"{folder}/endings.db"
        asyncio.run(main_for("SQLite", f"sqlite:///{path}", lambda: fill_sqlite(path)))
    url = postgres_database()
    asyncio.run(main_for("PostgreSQL", url, lambda: fill_postgres(url)))
