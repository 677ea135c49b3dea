"""Ten million sessions in PostgreSQL: loading them, what they weigh, how long a refresh among them takes, and what ten
million refreshes leave behind. BENCH_SESSIONS asks for another number.
"""

import asyncio
import contextlib
import hashlib
import os
import random
import statistics
import time
from collections.abc import Iterator

import psycopg
import uvloop

from benchmarks.report import SETTINGS, report
from tenure import AsyncTenure
from tenure.core.calls import Advance
from tenure.core.family import Head
from tenure.core.tokens import bucket_of, first_token, nonce_hash, seal
from tenure.stores.postgres.store import PostgresStore
from tests.stores.servers import Postgres

MANY, FEW = int(os.environ.get("BENCH_SESSIONS", "10000000")), 10_000
CALLERS, REFRESHES = 32, 100_000
STEPPERS = 256
SHUFFLE = 6_700_417  # a prime
NOW = int(time.time())
SIZES = """
    SELECT pg_total_relation_size('tenure_sessions'), pg_relation_size('tenure_sessions'), n_dead_tup,
        n_tup_upd, n_tup_hot_upd, autovacuum_count
    FROM pg_stat_user_tables WHERE relname = 'tenure_sessions'
"""


def session_of(number: int) -> tuple[bytes, bytes]:
    """The id of a session, and its root nonce: for each number the same."""
    digest = hashlib.sha256(b"session %d" % number).digest()
    return bucket_of(f"user-{number}") + digest[:14], digest[16:]


def rows(count: int) -> Iterator[str]:
    rest = f"first-party\t\t{{}}\tFirefox on Linux\t{NOW}000000\t{NOW + 1209600}000000\t{NOW + 7776000}000000\t0\t"
    for start in range(0, count, 1000):
        lines = []
        for number in range(start, min(count, start + 1000)):
            id_, root = session_of(number)
            nonce = nonce_hash(id_, root).hex()
            lines.append(f"\\\\x{id_.hex()}\tuser-{number}\t{rest}\\\\x{nonce}\t\\N\t{NOW}000000\t\\N\t\\N\t\\N\n")
        yield "".join(lines)


def fill(url: str, count: int) -> float:
    """Make the tables and load sessions by COPY, the indexes afterwards. Answers the seconds that it took."""
    PostgresStore(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE tenure_sessions DROP CONSTRAINT tenure_sessions_pkey")
        connection.execute("DROP INDEX tenure_sessions_by_subject")
        begun = time.perf_counter()
        with connection.cursor() as cursor, cursor.copy("COPY tenure_sessions FROM STDIN") as copy:
            for lines in rows(count):
                copy.write(lines)
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("ALTER TABLE tenure_sessions ADD PRIMARY KEY (id)")
        connection.execute("CREATE INDEX tenure_sessions_by_subject ON tenure_sessions (subject)")
        connection.execute("VACUUM ANALYZE tenure_sessions")
        connection.execute("CHECKPOINT")
        return time.perf_counter() - begun


async def latencies(url: str, count: int) -> tuple[float, float]:
    """The median and the 99th percentile of a whole refresh, in milliseconds, of sessions drawn at random."""
    times: list[float] = []
    draw = random.Random(1)
    async with AsyncTenure(url, **SETTINGS) as auth:
        tokens: dict[int, str] = {}

        async def caller(part: int) -> None:
            for turn in range(2 * REFRESHES // CALLERS):
                number = draw.randrange(count // CALLERS) * CALLERS + part
                token = tokens.get(number)
                if token is None:
                    id_, root = session_of(number)
                    token = seal(first_token(id_, root, os.urandom(16)), auth.issuer.keys.tag)
                begun = time.perf_counter()
                pair = await auth.refresh(token)
                if turn >= REFRESHES // CALLERS:  # the first half is to warm up
                    times.append(time.perf_counter() - begun)
                tokens[number] = pair.refresh_token

        await asyncio.gather(*[caller(part) for part in range(CALLERS)])
    cuts = statistics.quantiles(times, n=100)
    return cuts[49] * 1e3, cuts[98] * 1e3


async def refresh_each(url: str, count: int) -> float:
    """The store step of a refresh, once for each session, in an order that has nothing to do with where they lie.

    Answers steps a second.
    """
    store = PostgresStore(url)

    async def stepper(part: int) -> None:
        for place in range(part, count, STEPPERS):
            id_, root = session_of(place * SHUFFLE % count)
            head = Head(1, hashlib.sha256(root).digest(), None, NOW + 1)
            await store.arun(Advance(id_.hex(), "first-party", 0, nonce_hash(id_, root), head, NOW + 1209600))

    begun = time.perf_counter()
    await asyncio.gather(*[stepper(part) for part in range(STEPPERS)])
    store.close()
    return count / (time.perf_counter() - begun)


def sizes(url: str) -> dict[str, int]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        names = ("all_bytes", "table_bytes", "dead_tuples", "updates", "hot_updates", "autovacuums")
        return dict(zip(names, connection.execute(SIZES).fetchone(), strict=True))


def main() -> None:
    with contextlib.closing(Postgres(options=("shared_buffers=1GB", "max_wal_size=4GB"))) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE few")
            connection.execute("CREATE DATABASE many")
        few, many = server.url("few"), server.url("many")
        fill(few, FEW)
        seconds = fill(many, MANY)
        loaded = sizes(many)
        report("sessions loaded by COPY", sessions=MANY, seconds=seconds, bytes_a_session=loaded["all_bytes"] / MANY)
        (few_50, few_99), (many_50, many_99) = uvloop.run(latencies(few, FEW)), uvloop.run(latencies(many, MANY))
        report(f"a refresh among {FEW} sessions", p50_ms=few_50, p99_ms=few_99)
        report(f"a refresh among {MANY} sessions", p50_ms=many_50, p99_ms=many_99, p99_ratio=many_99 / few_99, goal=1.3)
        rate = uvloop.run(refresh_each(many, MANY))
        after = sizes(many)
    report(
        "after as many refreshes as sessions",
        steps_a_second=rate,
        bytes_a_session=after["all_bytes"] / MANY,
        growth=after["all_bytes"] / loaded["all_bytes"],
        dead_tuples=after["dead_tuples"],
        hot_share=after["hot_updates"] / after["updates"],
        autovacuums=after["autovacuums"],
    )
