"""MariaDB and MySQL fail, and nobody is logged out."""

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.faults.crowd import deployment, through_a_late_replica, through_cuts, through_restarts
from tests.faults.forwarder import Forwarder
from tests.stores.mysql_servers import KINDS, Mysql


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Mysql]:
    with closing(Mysql(request.param)) as started:
        yield started


def test_killed_in_mid_load_and_restarted(server: Mysql) -> None:
    async def story() -> None:
        async with deployment(server.tcp_url()) as auth:
            await through_restarts(auth, server)

    asyncio.run(story())


@pytest.mark.parametrize("kind", KINDS)
def test_a_late_replica_is_promoted(kind: str) -> None:
    """Both are named in the URL. The store follows the one that takes writes."""
    primary, replica = Mysql.pair(kind)

    async def story() -> None:
        def take_over() -> None:
            primary.kill()
            replica.promote()

        async with deployment(primary.tcp_url(replica)) as auth:
            await through_a_late_replica(auth, replica.stop_receiving, take_over)

    with closing(primary), closing(replica):
        asyncio.run(story())


@pytest.mark.parametrize("committed", [True, False])
def test_a_connection_cut_in_the_middle_of_a_commit(server: Mysql, committed: bool) -> None:
    """Was it committed or not? Nobody can know, and both come out right."""

    async def story() -> None:
        with Forwarder(server.connect) as address:
            async with deployment(server.tcp_url(port=address.port)) as auth:
                await through_cuts(auth, address.cut_next_answer if committed else address.cut)

    asyncio.run(story())
