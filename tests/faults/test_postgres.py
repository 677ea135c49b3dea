"""PostgreSQL fails, and nobody is logged out."""

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest

from tenure.stores.postgres import schema
from tests.faults.crowd import Crowd, deployment, through_a_late_replica, through_cuts, through_restarts
from tests.faults.forwarder import Forwarder
from tests.stores.servers import Postgres


@pytest.fixture
def server() -> Iterator[Postgres]:
    with closing(Postgres()) as started:
        yield started


@pytest.fixture
def address(server: Postgres) -> Iterator[Forwarder]:
    """What the store connects to: stands before `server` until it is pointed elsewhere."""
    with Forwarder(server.connect) as forwarder:
        yield forwarder


def url_of(address: Forwarder) -> str:
    return f"postgresql://postgres@127.0.0.1:{address.port}/postgres?sslmode=disable&gssencmode=disable"


@pytest.mark.parametrize("leeway", [0.0, 30.0])
def test_killed_in_mid_load_and_restarted(server: Postgres, leeway: float) -> None:
    """Within the leeway, those without attempt keys stay logged in as well."""

    async def story() -> None:
        async with deployment(server.url(), leeway=leeway) as auth:
            crowd = await through_restarts(auth, server)
            assert leeway == 0 or not crowd.logged_out(careful=False)

    asyncio.run(story())


def test_a_late_replica_is_promoted(server: Postgres, address: Forwarder) -> None:
    async def story() -> None:
        with closing(server.replica()) as replica:

            def take_over() -> None:
                server.kill()
                replica.promote()
                address.target = replica.connect

            async with deployment(url_of(address)) as auth:
                await through_a_late_replica(auth, server.stop_sending, take_over)

    asyncio.run(story())


@pytest.mark.parametrize("committed", [True, False])
def test_a_connection_cut_in_the_middle_of_a_commit(server: Postgres, address: Forwarder, committed: bool) -> None:
    """Was it committed or not? Nobody can know, and both come out right."""

    async def story() -> None:
        async with deployment(url_of(address)) as auth:
            await through_cuts(auth, address.cut_next_answer if committed else address.cut)

    asyncio.run(story())


@pytest.mark.parametrize("answers", ["late", "never"])
def test_a_store_that_answers_too_late(
    server: Postgres, address: Forwarder, answers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers come after twice as long as is waited for (ten seconds for five; here scaled down), or never."""
    monkeypatch.setattr(schema.BoundedConnection.wait, "__defaults__", (0.05, 0.5))
    monkeypatch.setattr(schema, "WAIT_SECONDS", 2.0)

    async def story() -> None:
        async with deployment(url_of(address)) as auth:
            crowd = Crowd.of(auth)
            await crowd.log_in(auth)
            crowd.start()
            await crowd.progress(2)
            crowd.steal()
            address.delay = 1.0 if answers == "late" else 0.0
            address.silent = answers == "never"
            for _ in range(300):
                if all(holder.unavailable or holder.ended for holder in crowd.holders):
                    break
                await asyncio.sleep(0.05)
            else:
                raise AssertionError("somebody was left waiting")
            address.delay, address.silent = 0.0, False
            await crowd.progress(3)
            await crowd.stop()
            await crowd.check(auth.store)

    asyncio.run(story())
