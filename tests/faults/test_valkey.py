"""Valkey fails, and nobody is logged out: a late replica, a Cluster that loses a primary, a slot that moves."""

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest
from redis.crc import key_slot

from tests.faults.crowd import Crowd, Holder, deployment, through_a_late_replica, through_cuts, through_restarts
from tests.faults.forwarder import Forwarder
from tests.stores.servers import Valkey, ValkeyCluster, on_cluster

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
EVERY_SECOND = ("--appendonly", "yes", "--appendfsync", "everysec")


def test_killed_in_mid_load_and_restarted() -> None:
    """With `appendfsync always` no answered refresh is lost."""

    async def story() -> None:
        with closing(Valkey(*DURABLE)) as server:
            async with deployment(server.url) as auth:
                await through_restarts(auth, server)

    asyncio.run(story())


def test_a_late_replica_is_promoted() -> None:
    async def story() -> None:
        with (
            closing(Valkey(*EVERY_SECOND)) as server,
            closing(server.replica(*EVERY_SECOND)) as replica,
            Forwarder(server.connect) as address,
        ):

            def take_over() -> None:
                server.kill()
                address.target = replica.connect

            async with deployment(f"valkey://127.0.0.1:{address.port}") as auth:
                await through_a_late_replica(auth, lambda: replica.client().replicaof("NO", "ONE"), take_over)

    asyncio.run(story())


@pytest.mark.parametrize("committed", [True, False])
def test_a_connection_cut_in_the_middle_of_a_batch(committed: bool) -> None:
    async def story() -> None:
        with closing(Valkey(*DURABLE)) as server, Forwarder(server.connect) as address:
            async with deployment(f"valkey://127.0.0.1:{address.port}") as auth:
                await through_cuts(auth, address.cut_next_answer if committed else address.cut)

    asyncio.run(story())


def slot_of(holder: Holder) -> int:
    return int(key_slot(f"{{{holder.session_id[:2]}}}".encode()))


@pytest.fixture
def cluster() -> Iterator[ValkeyCluster]:
    with closing(ValkeyCluster()) as started:
        yield started


def test_a_primary_of_a_cluster_is_killed_and_its_replica_takes_over(cluster: ValkeyCluster) -> None:
    """Every answered refresh is on a replica (`wait_replicas=1`), so that none is lost. The others' service goes on."""

    async def story() -> None:
        async with deployment(f"{cluster.url}?wait_replicas=1") as auth:
            crowd = Crowd.of(auth)
            await crowd.log_in(auth)
            crowd.start()
            await crowd.progress(3)
            crowd.steal()
            primary = cluster.nodes[0]
            elsewhere = [one for one in crowd.honest() if cluster.owner(slot_of(one)) is not primary]
            primary.kill()
            await crowd.once_unavailable()
            before = {one.name: one.completed for one in elsewhere}
            await asyncio.sleep(0.5)
            assert elsewhere
            assert all(one.completed > before[one.name] and one.unavailable == 0 for one in elsewhere)
            await asyncio.sleep(3 * ValkeyCluster.NODE_TIMEOUT_MS / 1000)
            await asyncio.to_thread(primary.start)  # comes back as the replica of the one that took over
            await crowd.progress(3)
            await crowd.stop()
            await crowd.check(auth.store)

    asyncio.run(story())


def test_replica_and_primary_change_places(cluster: ValkeyCluster) -> None:
    async def story() -> None:
        async with deployment(cluster.url) as auth:
            crowd = Crowd.of(auth)
            await crowd.log_in(auth)
            crowd.start()
            await crowd.progress(3)
            crowd.steal()
            for replica in cluster.nodes[3:]:
                on_cluster(replica, "FAILOVER")
                await crowd.progress(3)
            assert cluster.owner(0) is cluster.nodes[3]
            await crowd.stop()
            await crowd.check(auth.store)

    asyncio.run(story())


@pytest.mark.parametrize("how", ["key by key", "at once"])
def test_slots_move_while_refreshes_run(cluster: ValkeyCluster, how: str) -> None:
    async def story() -> None:
        async with deployment(cluster.url) as auth:
            crowd = Crowd.of(auth)
            await crowd.log_in(auth)
            slots = {slot_of(one) for one in crowd.holders}
            crowd.start()
            await crowd.progress(2)
            crowd.steal()
            moved = 0
            for slot in sorted(slots)[:24]:
                source = cluster.owner(slot)
                target = cluster.nodes[(cluster.nodes.index(source) + 1) % 3]
                if how == "at once":
                    await asyncio.to_thread(cluster.move_at_once, slot, source, target)
                else:
                    await asyncio.to_thread(cluster.move_key_by_key, slot, source, target)
                moved += cluster.owner(slot) is target
                await auth.login(f"new {slot}")
            assert moved == 24
            await crowd.progress(3)
            await crowd.stop()
            await crowd.check(auth.store)

    asyncio.run(story())
