"""Refreshes through AsyncTenure on SQLite with 256 callers, against the bare store step in the same run."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from benchmarks.report import SETTINGS, report
from tenure import AsyncTenure
from tenure.core.calls import Advance, Create
from tenure.core.family import Head
from tenure.core.session import Session
from tenure.core.tokens import session_id_for
from tenure.stores import open_store

CALLERS, REFRESHES, RUNS = 256, 100, 5


async def rate(step: Callable[[int], Awaitable[None]]) -> float:
    """Steps a second, with all callers at once."""

    async def caller(number: int) -> None:
        for _ in range(REFRESHES):
            await step(number)

    begun = time.perf_counter()
    await asyncio.gather(*[caller(number) for number in range(CALLERS)])
    return CALLERS * REFRESHES / (time.perf_counter() - begun)


async def whole(url: str, **settings: Any) -> list[float]:
    """Everything included: parse, check, durable commit, a new pair signed with ES256."""
    async with AsyncTenure(url, **SETTINGS, **settings) as auth:
        tokens = [(await auth.login(f"user-{number}")).refresh_token for number in range(CALLERS)]

        async def step(number: int) -> None:
            tokens[number] = (await auth.refresh(tokens[number])).refresh_token

        return [await rate(step) for _ in range(RUNS)]


async def store_step(url: str) -> list[float]:
    """Only the durable compare-and-set, through the same asyncio side of the same store."""
    store, now = open_store(url), time.time()
    ids = [session_id_for(f"user-{number}", os.urandom).hex() for number in range(CALLERS)]
    heads = [Head(0, os.urandom(32), None, now)] * CALLERS
    for number, id_ in enumerate(ids):
        ends = now + 1e6
        await store.arun(Create(Session(id_, f"user-{number}", "c", "", {}, "", now, ends, ends, heads[number])))

    async def step(number: int) -> None:
        old = heads[number]
        heads[number] = Head(old.generation + 1, os.urandom(32), None, now)
        call = Advance(ids[number], "c", old.generation, old.nonce_hash, heads[number], now + 1e6)
        assert await store.arun(call) is not None

    rates = [await rate(step) for _ in range(RUNS)]
    store.close()
    return rates


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        refreshes = statistics.median(uvloop.run(whole(f"sqlite:///{folder}/whole.db")))
        steps = statistics.median(uvloop.run(store_step(f"sqlite:///{folder}/store.db")))
    report("refreshes a second, AsyncTenure on SQLite, 256 callers", value=refreshes, goal=20_000)
    report("bare store step a second, 256 callers", value=steps)
    report("refreshes against bare store steps", ratio=refreshes / steps, goal=0.4)
