"""Many honest clients, some of whose tokens are stolen, and a full record of what each was answered.

A client refreshes again and again. It loses some of the responses, and presents the same token once more; the careful
ones do so with the attempt key of that refresh. Where the store is unavailable it waits and tries again, as each client
of ours does. A thief is a client that begins with a copy of another one's token.
"""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tenure import AsyncTenure, Policy, SessionEnded, StoreUnavailable, TokenPair
from tenure.core.calls import Get
from tenure.core.keys import DerivedKeys
from tenure.core.tokens import unseal
from tenure.stores.protocol import Store
from tests.conftest import AUDIENCE, ISSUER, SECRET

LOSES = 0.1
PAUSE_SECONDS = 0.02
AWAY_SECONDS = 0.1

Refresh = Callable[[str, str | None], Awaitable[TokenPair]]


@dataclass
class Holder:
    """Whoever holds a line of tokens: an honest client or a thief."""

    name: str
    session_id: str
    token: str
    careful: bool
    stolen: bool = False
    completed: int = 0
    unavailable: int = 0
    ended: str | None = None
    since_theft: int = 0
    running: asyncio.Event = field(default_factory=asyncio.Event)


class Crowd:
    """Clients that refresh through `instances`, one after the other in turn."""

    def __init__(self, instances: Sequence[Refresh], *, seed: int = 7) -> None:
        self._instances = itertools.cycle(instances)
        self._random = random.Random(seed)
        self._tasks: list[asyncio.Task[None]] = []
        self._paused = False
        self._keys = itertools.count()
        self.holders: list[Holder] = []

    @classmethod
    def of(cls, *instances: AsyncTenure) -> "Crowd":
        return cls([refresh_through(auth) for auth in instances])

    async def log_in(self, auth: AsyncTenure, *, careful: int = 40, careless: int = 10, stolen: int = 6) -> None:
        """Honest clients, some of them without attempt keys; and those whose tokens will be stolen."""
        for number in range(careful + careless + stolen):
            pair = await auth.login(f"user-{number}")
            honest = Holder(f"client {number}", pair.session_id, pair.refresh_token, careful=number >= careless)
            honest.stolen = number >= careful + careless
            self._add(honest)

    def steal(self) -> None:
        """From each marked client, a thief copies the token."""
        for victim in [holder for holder in self.holders if holder.stolen]:
            victim.since_theft = victim.completed
            self._add(Holder(f"thief of {victim.name}", victim.session_id, victim.token, careful=True, stolen=True))

    def start(self) -> None:
        self._paused = False
        for holder in self.holders:
            holder.running.set()

    async def pause(self) -> None:
        """Everybody finishes what is under way, and waits."""
        self._paused = True
        for holder in self.holders:
            holder.running.clear()
        await asyncio.sleep(5 * PAUSE_SECONDS)

    async def once_each(self) -> None:
        """While paused: everybody that is logged in refreshes once; the response may be lost as always."""
        await asyncio.gather(*[self._refresh(holder) for holder in self.holders if holder.ended is None])

    async def progress(self, times: int, *, seconds: float = 60) -> None:
        """Wait until everybody whose token was not stolen has completed this many more refreshes, or was logged out."""
        goals = {holder.name: holder.completed + times for holder in self.honest()}

        async def reached() -> None:
            while any(one.ended is None and one.completed < goals[one.name] for one in self.honest()):
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.01)

        await asyncio.wait_for(reached(), seconds)

    async def once_unavailable(self) -> None:
        """Wait until somebody was told that the store is unavailable."""
        while not any(holder.unavailable for holder in self.holders):
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Wait until all thefts are found, then end."""

        async def found() -> None:
            while any(one.ended is None for one in self.holders if one.stolen):
                await asyncio.sleep(0.01)

        if any(one.name.startswith("thief") for one in self.holders):
            await asyncio.wait_for(found(), 30)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def honest(self) -> list[Holder]:
        return [holder for holder in self.holders if not holder.stolen]

    def logged_out(self, *, careful: bool) -> list[Holder]:
        return [one for one in self.honest() if one.careful is careful and one.ended is not None]

    async def check(self, store: Store, *, writes_lost: bool = False) -> None:
        """The properties of the design, over the whole record. Those without attempt keys are only counted."""
        lost = [(one.name, one.ended) for one in self.logged_out(careful=True)]
        assert not lost, lost
        careless = [one for one in self.honest() if not one.careful]
        print(f"logged out without attempt keys: {len(self.logged_out(careful=False))} of {len(careless)}")
        thefts = [one for one in self.holders if one.name.startswith("thief")]
        for thief in thefts:
            (victim,) = (one for one in self.holders if one.session_id == thief.session_id and one is not thief)
            # What the store forgot, a holder may do once more.
            at_most = 2 if writes_lost else 1
            assert min(thief.completed, victim.completed - victim.since_theft) <= at_most, (thief, victim)
            await _until_revoked(store, thief.session_id)
        for holder in self.honest():
            if holder.ended is None:
                kept = await store.arun(Get(holder.session_id))
                assert kept is not None
                assert kept.head.generation >= parent_generation(holder), (holder, kept)

    def _add(self, holder: Holder) -> None:
        self.holders.append(holder)
        if not self._paused and any(other.running.is_set() for other in self.holders):
            holder.running.set()
        self._tasks.append(asyncio.get_running_loop().create_task(self._live(holder)))

    async def _live(self, holder: Holder) -> None:
        while holder.ended is None:
            await holder.running.wait()
            await self._refresh(holder)
            await asyncio.sleep(PAUSE_SECONDS * self._random.random() * 2)

    async def _refresh(self, holder: Holder) -> None:
        """One refresh, with as many tries as it takes. Only careful clients lose responses by chance."""
        attempt = f"attempt-key-{next(self._keys):012d}" if holder.careful else None
        while holder.ended is None:
            try:
                pair = await next(self._instances)(holder.token, attempt)
            except StoreUnavailable:
                holder.unavailable += 1
                await asyncio.sleep(AWAY_SECONDS)
            except SessionEnded as over:
                holder.ended = over.reason
            else:
                if not (holder.careful and self._random.random() < LOSES):
                    holder.token = pair.refresh_token
                    holder.completed += 1
                    return


def refresh_through(auth: AsyncTenure) -> Refresh:
    async def refresh(token: str, attempt: str | None) -> TokenPair:
        return await auth.refresh(token, attempt=attempt)

    return refresh


def parent_generation(holder: Holder) -> int:
    """The generation that the store had to have as the head when it answered with the token that `holder` has now."""
    return unseal(holder.token, [DerivedKeys.of(SECRET).tag]).generation - 1


async def _until_revoked(store: Store, session_id: str) -> None:
    """A revocation that the store lost is made again by the next upkeep."""
    for _ in range(100):
        session = await store.arun(Get(session_id))
        assert session is not None
        if session.revoked_at is not None:
            assert session.revoked_reason in ("reuse_detected", "revocation_lost"), session
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"a stolen session lives on: {session}")


async def kept_generation(store: Store, session_id: str) -> int:
    """The generation of the head in the store, as soon as it can be had."""
    for _ in range(200):
        try:
            session = await store.arun(Get(session_id))
        except StoreUnavailable:
            await asyncio.sleep(0.05)
        else:
            assert session is not None
            return session.head.generation
    raise AssertionError("the store stays away")


@asynccontextmanager
async def deployment(url: str, *, ahead: float = 0.0, leeway: float = 0.0) -> AsyncIterator[AsyncTenure]:
    """One instance, whose clock is `ahead` by so many seconds. With the leeway at zero only attempt keys help."""
    auth = AsyncTenure(
        url,
        secret=SECRET,
        issuer=ISSUER,
        audience=AUDIENCE,
        policy=Policy(leeway=leeway),
        clock=lambda: time.time() + ahead,
        poll=0.5,
    )
    async with auth:
        yield auth


async def through_a_late_replica(
    auth: AsyncTenure, cut_off: Callable[[], object], take_over: Callable[[], object]
) -> None:
    """The last refresh of everybody was answered and is lost: the replica, `cut_off` by then, never got it."""
    crowd = Crowd.of(auth)
    await crowd.log_in(auth)
    crowd.start()
    await crowd.progress(3)
    await crowd.pause()
    await asyncio.sleep(1)  # the replica has caught up
    crowd.steal()
    before = {one.name: one.completed for one in crowd.holders}
    cut_off()
    await crowd.once_each()
    assert all(one.completed > before[one.name] for one in crowd.honest())
    take_over()
    for one in crowd.honest():
        assert await kept_generation(auth.store, one.session_id) < parent_generation(one), "nothing was lost"
    crowd.start()
    await crowd.progress(4)
    await crowd.stop()
    await crowd.check(auth.store, writes_lost=True)


async def through_cuts(auth: AsyncTenure, cut: Callable[[], object]) -> None:
    """The connection is cut, again and again, while everybody refreshes."""
    crowd = Crowd.of(auth)
    await crowd.log_in(auth)
    crowd.start()
    await crowd.progress(2)
    crowd.steal()
    for _ in range(200):  # one that meets nothing under way is noticed by the driver, and costs nobody anything
        cut()
        await crowd.progress(1)
        if sum(holder.unavailable for holder in crowd.holders) > 20:
            break
    else:
        raise AssertionError("nobody noticed")
    await crowd.stop()
    await crowd.check(auth.store)


async def through_restarts(auth: AsyncTenure, server: Any) -> Crowd:
    """The server is killed in mid-load and started again, twice."""
    crowd = Crowd.of(auth)
    await crowd.log_in(auth)
    crowd.start()
    await crowd.progress(3)
    crowd.steal()
    for _ in range(2):
        server.kill()
        await asyncio.sleep(0.3)
        await asyncio.to_thread(server.start)
        await crowd.progress(3)
    await crowd.stop()
    assert sum(holder.unavailable for holder in crowd.holders) > 0
    await crowd.check(auth.store)
    return crowd
