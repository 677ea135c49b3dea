"""The store step and the whole refresh on Valkey, against a bare pipelining client with the same script on that server.

The bare client is redis-py with hiredis: 128 calls a pipeline, one pipeline after the other, replies left unread. Every
write is fsynced (`appendfsync always`) on both sides.
"""

import contextlib
import os
import statistics
import time

import uvloop
from redis import Redis

from benchmarks.refresh import CALLERS, REFRESHES, RUNS, store_step, whole
from benchmarks.report import report
from tenure.core.calls import Advance, Create
from tenure.core.family import Head
from tenure.core.session import Session
from tenure.core.tokens import session_id_for
from tenure.stores.group_commit import MAX_BATCH
from tenure.stores.valkey.calls import request_of
from tests.stores.servers import Valkey

WEIGHED = 100_000


def bare(client: Redis) -> float:
    """Compare-and-sets a second."""
    now = time.time()
    heads = [Head(0, os.urandom(32), None, now)] * CALLERS
    ids = [session_id_for(f"user-{number}", os.urandom).hex() for number in range(CALLERS)]
    for number, id_ in enumerate(ids):
        made = Session(id_, f"user-{number}", "c", "", {}, "", now, now + 1e6, now + 1e6, heads[number])
        (command,) = request_of(Create(made)).commands
        client.execute_command(*command.words(whole=True))
    batches = []
    for turn in range(REFRESHES):
        commands = []
        for number, id_ in enumerate(ids):
            old, heads[number] = heads[number], Head(turn + 1, os.urandom(32), None, now)
            call = Advance(id_, "c", old.generation, old.nonce_hash, heads[number], now + 1e6)
            commands += request_of(call).commands
        if turn == 0:
            client.execute_command(*commands[0].words(whole=True))  # so that the server knows the script
        batches += [
            [command.words() for command in commands[start : start + MAX_BATCH]]
            for start in range(0, len(commands), MAX_BATCH)
        ]
    begun = time.perf_counter()
    for batch in batches:
        with client.pipeline(transaction=False) as pipeline:
            for words in batch:
                pipeline.execute_command(*words)
            pipeline.execute()
    return CALLERS * REFRESHES / (time.perf_counter() - begun)


def bytes_a_session(client: Redis) -> float:
    """What the server's memory grows by with each session, its entry in the index of its subject included."""
    client.flushall()
    before, now = client.info("memory")["used_memory"], time.time()
    for start in range(0, WEIGHED, 1000):
        with client.pipeline(transaction=False) as pipeline:
            for number in range(start, start + 1000):
                subject = f"user-{number}"
                id_ = session_id_for(subject, os.urandom).hex()
                head = Head(0, os.urandom(32), None, now)
                ends = (now + 1209600, now + 7776000)
                made = Session(id_, subject, "first-party", "", {}, "Firefox on Linux", now, *ends, head)
                (command,) = request_of(Create(made)).commands
                pipeline.execute_command(*command.words(whole=number == 0))
            pipeline.execute()
    return (client.info("memory")["used_memory"] - before) / WEIGHED


def main() -> None:
    server = Valkey("--appendonly", "yes", "--appendfsync", "always")
    with contextlib.closing(server), server.client() as client:
        peer = statistics.median(bare(client) for _ in range(RUNS))
        steps = statistics.median(uvloop.run(store_step(server.url)))
        refreshes = statistics.median(uvloop.run(whole(server.url)))
        weight = bytes_a_session(client)
    report("Valkey: bytes a session", value=weight)
    report("a bare client on Valkey, 128 calls a pipeline", value=peer)
    report("Valkey: store steps a second, 256 callers", value=steps, ratio=steps / peer, goal=0.6)
    report("Valkey: whole refreshes a second in one process", value=refreshes, ratio=refreshes / peer)
