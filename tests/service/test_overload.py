"""More refreshes than can be answered in time: some are told to come later, at random, and nobody starves."""

import asyncio
import json
import random
from typing import Any

from tenure.core.errors import TenureError
from tenure.server.overload import AGAIN_SECONDS, ALWAYS_SERVED, FIRST_SECONDS, LONGEST_SECONDS, Shedding


class World:
    """A server that completes `rate` refreshes a second, on a clock of its own."""

    def __init__(self, rate: float) -> None:
        self.now, self.rate = 0.0, rate
        self.under_way: list[asyncio.Event] = []
        self.refusals: list[TenureError] = []
        self.shedding = Shedding(self.answer, "/auth", self.refusals.append, lambda: self.now, random.Random(7).random)

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        done = asyncio.Event()
        self.under_way.append(done)
        await done.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def pass_seconds(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.01)):
            self.now += 0.01
            for done in self.under_way[: round(self.rate * 0.01)]:
                done.set()
            del self.under_way[: round(self.rate * 0.01)]
            for _ in range(4):
                await asyncio.sleep(0)

    def come(self, key: str | None = None, path: str = "/auth/refresh") -> "asyncio.Task[list[Any]]":
        headers = [] if key is None else [(b"idempotency-key", key.encode())]
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def ask() -> list[Any]:
            await self.shedding({"type": "http", "path": path, "headers": headers}, None, send)  # type: ignore[arg-type]
            return sent

        return asyncio.create_task(ask())


def is_refused(task: "asyncio.Task[list[Any]]") -> bool:
    return task.done() and task.result()[0]["status"] == 503


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_a_crowd_is_served_as_far_as_time_allows() -> None:
    async def story() -> None:
        world = World(rate=1000)
        crowd = [world.come(f"key {number}") for number in range(10_000)]
        await settle()
        refused = [task for task in crowd if is_refused(task)]
        assert 1000 <= len(crowd) - len(refused) <= 2000  # nothing is known of the rate yet
        later = [int(dict(task.result()[0]["headers"])[b"retry-after"]) for task in refused]
        assert min(later) == 1
        assert max(later) <= LONGEST_SECONDS + 1
        assert len(set(later)) >= 5
        assert json.loads(refused[0].result()[1]["body"])["error"] == "temporarily_unavailable"
        assert len(world.refusals) == len(refused)
        await world.pass_seconds(1)
        more = [world.come() for _ in range(10_000)]  # by now it has measured how fast it is
        await settle()
        under_way = len(world.under_way)
        assert 0.8 * FIRST_SECONDS * world.rate <= under_way <= 1.2 * FIRST_SECONDS * world.rate
        await world.pass_seconds(FIRST_SECONDS * 1.2)
        assert all(task.done() for task in crowd + more)

    asyncio.run(story())


def test_who_comes_back_goes_before_who_comes_first() -> None:
    async def story() -> None:
        world = World(rate=1000)
        crowd = [world.come(f"key {number}") for number in range(5000)]
        await settle()
        again = [number for number, task in enumerate(crowd) if is_refused(task)]
        assert again
        first, back = world.come("a new key"), [world.come(f"key {number}") for number in again[:100]]
        await settle()
        assert is_refused(first)
        assert not any(is_refused(task) for task in back)
        flood = [world.come(f"key {number}") for number in again[100:] + again[100:]]
        await settle()
        assert any(is_refused(task) for task in flood)  # not without a limit either
        assert len(world.under_way) <= AGAIN_SECONDS * world.rate
        await world.pass_seconds(10)

    asyncio.run(story())


def test_few_are_never_refused_however_slow_the_store_is() -> None:
    async def story() -> None:
        world = World(rate=1)
        few = [world.come() for _ in range(ALWAYS_SERVED)]
        await world.pass_seconds(5)
        assert not any(is_refused(task) for task in few)
        world.rate = 1e6
        await world.pass_seconds(0.1)

    asyncio.run(story())


def test_a_quiet_night_does_not_make_it_think_that_it_is_slow() -> None:
    async def story() -> None:
        world = World(rate=1000)
        for _ in range(30):
            task = world.come()
            await world.pass_seconds(0.5)
            assert task.done()
        morning = [world.come() for _ in range(1000)]
        await settle()
        assert not any(is_refused(task) for task in morning)
        await world.pass_seconds(2)

    asyncio.run(story())


def test_only_refreshes_are_refused() -> None:
    async def story() -> None:
        world = World(rate=1)
        crowd = [world.come() for _ in range(5000)]
        others = [world.come(path=path) for path in ("/healthz", "/auth/login", "/auth/me", "/oauth/introspect")]
        await settle()
        assert any(is_refused(task) for task in crowd)
        assert not any(task.done() for task in others)
        world.rate = 1e6
        await world.pass_seconds(0.1)

    asyncio.run(story())
