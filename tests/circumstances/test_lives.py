"""More lives than one: forks, restarts in one process, other event loops."""

import asyncio
import multiprocessing
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenure import AsyncTenure, StoreUnavailable, Tenure
from tenure.core.calls import GetRecord
from tests.conftest import AUDIENCE, ISSUER, SECRET
from tests.forks import in_child
from tests.stores.mysql_servers import mysql_database, mysql_server
from tests.stores.servers import postgres_database, valkey_cluster, valkey_database

pytestmark = pytest.mark.usefixtures("unmeasured")

SETTINGS: dict[str, Any] = {"secret": SECRET, "issuer": ISSUER, "audience": AUDIENCE, "poll": 0.05}


@pytest.fixture(params=["memory", "sqlite", "postgres", "valkey", "valkey-cluster", "django-sqlite", "django-postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return {
        "memory": lambda: "memory://",
        "sqlite": lambda: f"sqlite:///{tmp_path}/store.db",
        "postgres": postgres_database,
        "mariadb": lambda: mysql_database(mysql_server("mariadb")),
        "valkey": valkey_database,
        "valkey-cluster": valkey_cluster,
        "django-sqlite": lambda: _django("sqlite", tmp_path),
        "django-postgres": lambda: _django("postgres", tmp_path),
    }[request.param]()


def _django(kind: str, folder: Path) -> Any:
    from tenure.integrations.django.store import DjangoStore
    from tests.integrations import django_stores

    alias = django_stores.sqlite_alias(folder) if kind == "sqlite" else django_stores.postgres_alias()
    return DjangoStore(alias)


@pytest.fixture
def auth(store: Any) -> Iterator[Tenure]:
    made = Tenure(store, **SETTINGS)
    yield made
    made.close()


def test_a_tenure_works_in_a_child_and_the_parent_goes_on(auth: Tenure) -> None:
    pair = auth.login("user-42")
    shared = type(auth.store).__name__ != "MemoryStore"

    def work() -> None:
        mine = auth.refresh(pair.refresh_token)
        assert auth.verify(mine.access_token).subject == "user-42"
        auth.refresh(auth.login("user-43").refresh_token)
        auth.close()

    for _ in range(2):
        in_child(work)
        if shared:
            assert len(auth.sessions("user-43")) > 0
            pair = auth.login("user-42")
        auth.login("user-44")
    assert auth.verify(auth.login("user-45").access_token).subject == "user-45"


def test_a_child_hears_of_revocations(auth: Tenure) -> None:
    """Also one that does nothing but verify."""
    if type(auth.store).__name__ == "MemoryStore":
        pytest.skip("nothing is shared")
    pair = auth.login("user-42")
    ready, done = multiprocessing.get_context("fork").Event(), multiprocessing.get_context("fork").Event()

    def work() -> None:
        assert auth.verify(pair.access_token)
        ready.set()
        assert done.wait(10)
        for _ in range(200):
            try:
                auth.verify(pair.access_token)
            except Exception:  # noqa: BLE001 - refused, at last
                return
            ready.wait(0.05)
            asyncio.run(asyncio.sleep(0.05))
        raise AssertionError("never heard of")

    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - told by the exit code
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert ready.wait(20)
    auth.revoke(pair.session_id)
    done.set()
    assert os.waitpid(pid, 0)[1] == 0


def test_a_fork_while_others_are_at_work(auth: Tenure) -> None:
    """Locks that another thread has at that moment are held in the child for ever."""
    from threading import Event, Thread

    over = Event()

    def ask() -> None:
        while not over.is_set():
            auth.revoke(auth.refresh(auth.login("user-42").refresh_token).session_id)

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            in_child(lambda: auth.refresh(auth.login("user-43").refresh_token))
    finally:
        over.set()
        for thread in threads:
            thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def test_an_async_tenure_works_in_a_child(store: Any) -> None:
    async def life(auth: AsyncTenure) -> None:
        pair = await auth.refresh((await auth.login("user-42")).refresh_token)
        assert (await auth.verify(pair.access_token)).subject == "user-42"

    auth = AsyncTenure(store, **SETTINGS)

    async def parent() -> None:
        await life(auth)
        await asyncio.to_thread(in_child, lambda: asyncio.run(life(auth)))
        await life(auth)
        await auth.close()

    asyncio.run(parent())


def test_a_tenure_is_entered_again(store: Any) -> None:
    auth = Tenure(store, **SETTINGS)
    pair = auth.login("user-42")
    for _ in range(3):
        auth.close()
        for call, argument in ((auth.login, "x"), (auth.verify, pair.access_token), (auth.sessions, "x")):
            with pytest.raises(StoreUnavailable, match=r"This Tenure was closed. Enter it again"):
                call(argument)
        with auth:
            pair = auth.refresh(pair.refresh_token)
            assert auth.verify(pair.access_token)


def test_an_async_tenure_is_entered_again_in_another_loop(store: Any) -> None:
    auth = AsyncTenure(store, **SETTINGS)
    tokens: list[str] = []

    async def life() -> None:
        async with auth:
            pair = await (auth.refresh(tokens.pop()) if tokens else auth.login("user-42"))
            assert await auth.verify(pair.access_token)
            tokens.append(pair.refresh_token)
        with pytest.raises(StoreUnavailable, match=r"This AsyncTenure was closed"):
            await auth.login("user-42")

    for _ in range(3):
        asyncio.run(life())


def test_an_async_tenure_that_nobody_closed_follows_the_store_in_the_next_loop(store: Any) -> None:
    """A notebook, or a test client for each module."""
    auth = AsyncTenure(store, **SETTINGS)

    async def life() -> None:
        pair = await auth.login("user-42")
        await auth.store.arun(GetRecord("x", "y"))
        auth.issuer.checker.revoke("0" * 32, 0)  # forgotten by the next round of upkeep: somebody follows
        for _ in range(200):
            if not auth.issuer.checker.is_revoked("0" * 32):
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("nobody follows the store")
        assert await auth.verify(pair.access_token)

    for _ in range(2):
        asyncio.run(life())
    asyncio.run(auth.close())
