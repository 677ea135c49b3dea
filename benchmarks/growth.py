"""What a million refreshes over ten thousand sessions leave behind: no row, and hardly a byte."""

import asyncio
import sqlite3
import tempfile
from pathlib import Path

import uvloop

from benchmarks.report import SETTINGS, report
from tenure import AsyncTenure

SESSIONS, ROUNDS = 10_000, 100


async def refresh_all(url: str) -> tuple[int, int]:
    """Bytes of the database file before and after."""
    path = Path(url.removeprefix("sqlite:///"))

    def size() -> int:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path.stat().st_size

    async with AsyncTenure(url, **SETTINGS) as auth:
        tokens = [pair.refresh_token for pair in await asyncio.gather(*[auth.login(f"u{n}") for n in range(SESSIONS)])]
        before = size()

        async def caller(part: int) -> None:
            for number in range(part, SESSIONS, 256):
                tokens[number] = (await auth.refresh(tokens[number])).refresh_token

        for _ in range(ROUNDS):
            await asyncio.gather(*[caller(part) for part in range(256)])
        return before, size()


async def rows_added(url: str) -> int:
    def rows() -> int:
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            count = sum(
                connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("sessions", "revocations", "records")
            )
        connection.close()
        return count

    async with AsyncTenure(url, **SETTINGS) as auth:
        token = (await auth.login("user-42")).refresh_token
        before = rows()
        for _ in range(1000):
            token = (await auth.refresh(token)).refresh_token
        return rows() - before


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        report("rows added by 1,000 refreshes", value=uvloop.run(rows_added(f"sqlite:///{folder}/rows.db")), goal=0)
        before, after = uvloop.run(refresh_all(f"sqlite:///{folder}/growth.db"))
    report(
        "bytes after 1,000,000 refreshes over 10,000 sessions",
        before=before,
        after=after,
        ratio=after / before,
        goal=1.5,
        bytes_a_session=before / SESSIONS,
    )
