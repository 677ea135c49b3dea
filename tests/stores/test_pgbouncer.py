"""PostgreSQL behind a real PgBouncer: nothing is told of it, and everything works."""

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from tenure import AsyncTenure, Tenure
from tenure.stores.postgres.schema import BoundedConnection, shares_server_connections
from tests.conftest import AUDIENCE, ISSUER, SECRET
from tests.stores.servers import PgBouncer, postgres_database

pytestmark = pytest.mark.skipif(
    shutil.which("pgbouncer") is None, reason="PgBouncer is not here (tests/elsewhere/fetch)"
)

SETTINGS: dict[str, Any] = {"secret": SECRET, "issuer": ISSUER, "audience": AUDIENCE}


@pytest.fixture(params=["transaction", "session"])
def bouncer(request: pytest.FixtureRequest) -> Iterator[PgBouncer]:
    started = PgBouncer(request.param)
    started.mode = request.param  # type: ignore[attr-defined]
    yield started
    started.close()


@pytest.fixture
def url(bouncer: PgBouncer) -> str:
    return bouncer.url(postgres_database())


def test_what_is_between_is_found_out(bouncer: PgBouncer, url: str) -> None:
    direct = postgres_database()
    with BoundedConnection.to(direct) as connection:
        assert (connection.is_pooled, connection.prepare_threshold) == (False, 1)
    with BoundedConnection.to(url) as connection:
        assert (connection.is_pooled, connection.prepare_threshold) == (True, None)
    assert not shares_server_connections(direct)
    assert shares_server_connections(url) == (bouncer.mode == "transaction")  # type: ignore[attr-defined]


def test_several_instances_refresh_at_once(url: str) -> None:
    """The tables are made by several at once, too."""
    with ExitStack() as opened:
        made: list[Tenure] = []
        lock = threading.Lock()

        def open_one() -> None:
            instance = Tenure(url, **SETTINGS)
            with lock:
                made.append(opened.enter_context(instance))

        openers = [threading.Thread(target=open_one) for _ in range(4)]
        for opener in openers:
            opener.start()
        for opener in openers:
            opener.join()
        assert len(made) == 4
        failures: list[BaseException] = []

        def chain(number: int) -> None:
            try:
                token = made[number % 4].login(f"user-{number}", device="one").refresh_token
                for turn in range(40):
                    token = made[(number + turn) % 4].refresh(token).refresh_token
                    if turn % 10 == 0:
                        made[turn % 4].sessions(f"user-{number}")
            except BaseException as problem:  # noqa: BLE001 - told below
                failures.append(problem)

        threads = [threading.Thread(target=chain, args=[number]) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


def test_revocations_are_heard_of(bouncer: PgBouncer, url: str) -> None:
    """Pushed where a session has a server connection to itself, polled where it has not."""
    pushed = bouncer.mode == "session"  # type: ignore[attr-defined]
    with Tenure(url, **SETTINGS, poll=30.0 if pushed else 0.1) as one, Tenure(url, **SETTINGS) as other:
        pair = other.login("user-42")
        time.sleep(0.5)  # until the listener listens
        other.revoke(pair.session_id)
        for _ in range(100):
            if one.issuer.checker.is_revoked(pair.session_id):
                break
            time.sleep(0.05)
        assert one.issuer.checker.is_revoked(pair.session_id)


def test_async_callers_by_the_hundred(url: str) -> None:
    async def story() -> None:
        async with AsyncTenure(url, **SETTINGS) as auth, AsyncTenure(url, **SETTINGS) as other:

            async def chain(number: int) -> None:
                token = (await auth.login(f"user-{number}")).refresh_token
                for _ in range(5):
                    token = (await other.refresh((await auth.refresh(token)).refresh_token)).refresh_token

            await asyncio.gather(*map(chain, range(100)))

    asyncio.run(story())


def test_a_statement_that_outlives_its_transaction_would_be_seen(bouncer: PgBouncer, url: str) -> None:
    """What the store avoids does fail here: the tests above can fail."""
    if bouncer.mode == "session":  # type: ignore[attr-defined]
        pytest.skip("prepared statements are good here")
    with (
        psycopg.connect(url, autocommit=True) as one,
        psycopg.connect(url, autocommit=True) as other,
        pytest.raises(psycopg.Error),
    ):
        for _ in range(20):
            one.execute("SELECT %s::int", [1], prepare=True)
            other.execute("SELECT %s::text", ["x"], prepare=True)
