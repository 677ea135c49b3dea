"""Valkey: what only it can show. What the server forgets, what it promises, its failures."""

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis

from tenure import ConfigurationError, StoreUnavailable
from tenure.core.calls import (
    Audit,
    Create,
    Get,
    ListAudit,
    ListRecords,
    ListSubject,
    PutRecord,
    Revoke,
    RevokedSince,
    RevokeSubject,
)
from tenure.stores import open_store
from tenure.stores.valkey.nodes import nodes_of
from tenure.stores.valkey.store import ValkeyStore
from tests.stores.servers import Valkey, ValkeySentinel, free_port, valkey_cluster, valkey_database
from tests.stores.test_conformance import NOW, advance, session

DAY = 86400


@pytest.fixture
def store() -> Iterator[ValkeyStore]:
    opened = ValkeyStore(valkey_database())
    yield opened
    opened.close()


@pytest.fixture
def server() -> Iterator[Valkey]:
    started = Valkey()
    yield started
    started.close()


def client_of(store: ValkeyStore) -> redis.Redis:
    return store._nodes.any()


def remaining(store: ValkeyStore, pattern: str) -> float:
    client = client_of(store)
    (key,) = client.keys(pattern)
    return float(client.pttl(key)) / 1000


def test_the_server_forgets_sessions_by_itself(store: ValkeyStore) -> None:
    """A day after their end, by the clock of whoever asked: `NOW` is not the server's time."""
    made = session(created_at=5.0)
    store.run(Create(made))
    assert remaining(store, "*:session:*") == pytest.approx(100 + DAY, abs=5)
    assert remaining(store, "*:subject:*") == pytest.approx(1000 + DAY, abs=5)
    store.run(advance(made, now=55.0, idle_deadline=955.0))
    assert remaining(store, "*:session:*") == pytest.approx(900 + DAY, abs=5)
    store.run(Revoke(made.id, 60.0, "x", "y"))
    assert remaining(store, "*:session:*") == pytest.approx(DAY, abs=5)


def test_the_server_forgets_audit_trails_by_itself(store: ValkeyStore) -> None:
    store.run(Create(session(created_at=5.0), audit=Audit("", 1005.0)))
    assert remaining(store, "*:audit:*") == pytest.approx(1000, abs=5)
    store.run(Create(session(created_at=10.0), audit=Audit("", 15.0)))
    assert remaining(store, "*:audit:*") == pytest.approx(1000, abs=5)
    store.run(Create(session(created_at=20.0), audit=Audit("", 3020.0)))
    assert remaining(store, "*:audit:*") == pytest.approx(3000, abs=5)
    assert [entry.at for entry in store.run(ListAudit("user-42", 0.0))] == [20.0, 5.0]


def test_the_index_of_a_subject_lives_as_long_as_its_longest_session(store: ValkeyStore) -> None:
    store.run(Create(session(ends_at=NOW + 5000)))
    store.run(Create(session(ends_at=NOW + 200)))
    assert remaining(store, "*:subject:*") == pytest.approx(5000 + DAY, abs=5)


def test_the_index_drops_what_is_gone(store: ValkeyStore) -> None:
    made = [session() for _ in range(3)]
    for one in made:
        store.run(Create(one))
    client = client_of(store)
    client.delete(*client.keys(f"*:session:{made[0].id}"))
    store.run(Revoke(made[1].id, NOW, "x", "y"))
    assert store.run(ListSubject("user-42", NOW)) == (made[2],)
    (index,) = client.keys("*:subject:*")
    assert client.smembers(index) == {made[2].id.encode()}


def test_a_session_that_has_expired_by_one_clock_stays_in_the_index_for_the_others(store: ValkeyStore) -> None:
    made = session()
    store.run(Create(made))
    assert store.run(ListSubject("user-42", made.expires_at + 300)) == ()
    assert store.run(advance(made)) is not None
    assert store.run(RevokeSubject("user-42", NOW + 6, "x", "y")) == (made.id,)


def test_an_id_outside_its_subjects_bucket_is_refused(store: ValkeyStore) -> None:
    with pytest.raises(ValueError, match="bucket"):
        store.run(Create(replace(session(), id="00" * 16)))


def test_scripts_that_the_server_has_forgotten_are_sent_again(store: ValkeyStore) -> None:
    made = session()
    store.run(Create(made))
    client_of(store).script_flush()
    moved = store.run(advance(made))
    assert moved is not None
    assert moved.head.generation == 1


def test_a_value_that_is_there_already_is_a_failure_of_that_call_alone(store: ValkeyStore) -> None:
    """Somebody else's key in the place of a session."""
    made, other = session(), session("user-43")
    client_of(store).lpush(f"tenure:{{{made.id[:2]}}}:session:{made.id}", "x")
    store.run(Create(other))

    async def both() -> list[Any]:
        calls = [store.arun(Get(made.id)), store.arun(Get(other.id))]
        return await asyncio.gather(*calls, return_exceptions=True)

    refused, found = asyncio.run(both())
    assert isinstance(refused, StoreUnavailable)
    assert found == other


def test_a_server_that_is_away_is_told_of_and_found_again(server: Valkey) -> None:
    store = ValkeyStore(server.url)
    store.run(PutRecord("client", "one", "x"))
    server.kill()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.run(ListRecords("client"))
        with pytest.raises(StoreUnavailable):
            store.run(RevokedSince(0))
    server.start()
    made = session()
    assert store.run(Create(made)) == ()
    assert store.run(Get(made.id)) == made
    store.close()


def test_a_server_that_has_stopped_is_not_waited_for_without_end(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenure.stores.valkey.nodes._BOUNDS", {"socket_timeout": 0.5, "protocol": 2})
    store = ValkeyStore(server.url)
    server.signal(signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.run(Get("00" * 16))
    assert time.monotonic() - begun < 5
    server.signal(signal.SIGCONT)
    assert store.run(Get("00" * 16)) is None
    store.close()


def test_a_write_that_no_replica_has_is_not_answered(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenure.stores.valkey.store.WAIT_SECONDS", 0.2)
    store = ValkeyStore(f"{server.url}?wait_replicas=1")
    made = session()
    with pytest.raises(StoreUnavailable):
        store.run(Create(made))
    assert store.run(Get(made.id)) == made  # what only reads waits for nobody
    replica = server.replica()
    assert store.run(advance(made)) is not None
    store.close()
    copy = ValkeyStore(replica.url)
    assert copy.run(Get(made.id)).head.generation == 1  # type: ignore[union-attr]
    with pytest.raises(StoreUnavailable):
        copy.run(Revoke(made.id, NOW, "x", "y"))  # a replica does not write
    copy.close()
    replica.close()


def test_sentinels_name_the_primary(server: Valkey) -> None:
    replica = server.replica()
    sentinel = ValkeySentinel(server)
    store = ValkeyStore(f"valkey+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/tenure/0")
    made = session()
    assert store.run(Create(made)) == ()
    sentinel.until_known_replicas(1)
    server.kill()
    with pytest.raises(StoreUnavailable):
        store.run(Get(made.id))
    for _ in range(400):
        try:
            moved = store.run(advance(made))
        except StoreUnavailable:
            time.sleep(0.05)
        else:
            assert moved is not None
            break
    else:
        raise AssertionError("the replica never took over")
    store.close()
    sentinel.close()
    replica.close()


def test_a_server_that_throws_data_away_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    server = Valkey("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    ValkeyStore(server.url).close()
    server.close()
    assert "Set maxmemory-policy to noeviction" in caplog.text


def test_a_full_server_refuses_and_says_so_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    server = Valkey("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    store = ValkeyStore(server.url)
    with pytest.raises(StoreUnavailable):
        store.run(Create(session()))
    store.close()
    server.close()
    assert "OutOfMemoryError" in caplog.text
    assert "user-42" not in caplog.text


def test_a_wrong_password_is_a_mistake_of_the_configuration() -> None:
    server = Valkey("--requirepass", "right")
    with pytest.raises(ConfigurationError, match="user and password"):
        open_store(server.url)
    url = server.url.replace("://", "://:right@")
    store = open_store(url)
    assert store.run(Get("00" * 16)) is None
    store.close()
    server.client().close()
    server.close()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    for url in ("valkey://127.0.0.1:1", "valkey+cluster://127.0.0.1:1", "valkey+sentinel://127.0.0.1:1/tenure"):
        with pytest.raises(StoreUnavailable):
            open_store(url)


@pytest.mark.parametrize(
    "url",
    [
        "valkey://host:port",
        "valkey://host/0?wait_replicas=many",
        "valkey+sentinel://127.0.0.1:1/",
        "valkey+cluster://127.0.0.1:1,:7",
        "valkey+ring://host",
        "valkey://",
    ],
)
def test_a_url_that_makes_no_sense_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_store(url)


def test_a_cluster_is_found_through_any_of_its_nodes() -> None:
    first, *_, last = valkey_cluster().removeprefix("valkey+cluster://").split(",")
    store = ValkeyStore(f"valkey+cluster://127.0.0.1:{free_port()},{first},{last}")
    made = [session(f"user-{number}") for number in range(40)]
    for one in made:
        store.run(Create(one))
    assert len(store._lanes) == 3
    assert [store.run(Get(one.id)) for one in made] == made
    store.close()


def test_the_options_of_a_url_reach_the_client() -> None:
    nodes, wait = nodes_of("valkeys://ada:secret@localhost:7000/3?ssl_cert_reqs=none&wait_replicas=2")
    given = nodes.any().connection_pool.connection_kwargs
    assert (given["username"], given["password"], given["db"], given["ssl_cert_reqs"]) == ("ada", "secret", 3, "none")
    assert wait == 2
    assert type(nodes.any().connection_pool.make_connection()).__name__ == "SSLConnection"
