"""The store step and the whole refresh on PostgreSQL, against pgbench with the same one-row UPDATE on that server."""

import contextlib
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

import psycopg
import uvloop

from benchmarks.refresh import CALLERS, store_step, whole
from benchmarks.report import report
from tenure.stores.postgres.store import PostgresStore
from tests.stores.servers import Postgres, binary

SECONDS, CLIENTS = 4, (8, 16, 32)

SCRIPT = """
\\set n random(1, {callers})
UPDATE tenure_sessions
SET generation = generation + 1, nonce_hash = decode(md5(random()::text), 'hex'), rotated_at = 1, expires_at = 2
WHERE id = decode(lpad(to_hex(:n::bigint), 32, '0'), 'hex') AND revoked_at IS NULL RETURNING subject;
"""

ROWS = """
INSERT INTO tenure_sessions
SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), 'user-' || n, 'c', '', '{{}}', '', 0, 1, 9, 0, '\\x00', NULL, 0
FROM generate_series(1, {callers}) AS n
"""


def pgbench(server: Postgres) -> float:
    """Transactions a second, at its best number of clients."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(ROWS.format(callers=CALLERS))
    best = 0.0
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "update.sql"
        script.write_text(SCRIPT.format(callers=CALLERS))
        for clients in CLIENTS:
            arguments = ["-n", "-M", "prepared", "-f", script, "-c", str(clients), "-T", str(SECONDS), server.url()]
            done = subprocess.run([binary("pgbench"), *arguments], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            best = max(best, float(re.search(r"tps = ([0-9.]+)", done.stdout)[1]))
    return best


def main() -> None:
    with contextlib.closing(Postgres()) as server:
        PostgresStore(server.url()).close()
        peer = pgbench(server)
        steps = statistics.median(uvloop.run(store_step(server.url())))
        refreshes = statistics.median(uvloop.run(whole(server.url())))
    report("pgbench -M prepared, one-row UPDATE, its best number of clients", value=peer)
    report("PostgreSQL: store steps a second, 256 callers", value=steps, ratio=steps / peer, goal=1.5)
    report("PostgreSQL: whole refreshes a second in one process", value=refreshes, ratio=refreshes / peer, goal=0.5)
