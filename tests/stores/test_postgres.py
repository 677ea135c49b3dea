"""PostgreSQL: what only it can show. Its statements, its neighbours, its failures."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest

from tenure import ConfigurationError, StoreUnavailable, Tenure
from tenure.core.calls import Create, Get, ListRecords, Revoke, RevokedSince
from tenure.core.errors import SchemaTooNew
from tenure.core.session import Session
from tenure.stores.postgres import schema
from tenure.stores.postgres.store import PostgresStore
from tests.conftest import AUDIENCE, ISSUER, SECRET
from tests.service.process import PASSWORD, service, tenure
from tests.stores.servers import Postgres, postgres_database
from tests.stores.test_conformance import advance, session


@pytest.fixture
def url() -> str:
    return postgres_database()


@pytest.fixture
def deployment(url: str) -> Iterator[Callable[..., Tenure]]:
    made: list[Tenure] = []

    def make(**details: str) -> Tenure:
        given = {"store": url, **details}
        made.append(Tenure(secret=SECRET, issuer=ISSUER, audience=AUDIENCE, poll=0.05, **given))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def test_refreshes_are_hot_updates(url: str, deployment: Callable[..., Tenure]) -> None:
    auth = deployment()
    token = auth.login("user-42").refresh_token
    for _ in range(200):
        token = auth.refresh(token).refresh_token
    auth.close()
    ask(url, "SELECT pg_stat_force_next_flush()")
    for _ in range(50):
        ((updates, hot),) = ask(
            url, "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'tenure_sessions'"
        )
        if updates == 200:
            break
        time.sleep(0.1)
    assert (updates, hot) == (200, 200)


def test_several_instances_may_start_at_once(url: str) -> None:
    stores: list[PostgresStore] = []
    threads = [threading.Thread(target=lambda: stores.append(PostgresStore(url))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores) == 6
    for store in stores:
        store.close()


def test_a_role_that_may_not_create_tables_will_do_once_they_are_there(url: str) -> None:
    role = f"plain_{os.getpid()}"
    ask(url, f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    plain = psycopg.conninfo.make_conninfo(url, user=role, password="x")
    with pytest.raises(ConfigurationError, match="tables can't be made: permission denied"):
        PostgresStore(plain)
    PostgresStore(url).close()
    ask(url, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    with Tenure(PostgresStore(plain), secret=SECRET, issuer=ISSUER, audience=AUDIENCE) as auth:
        pair = auth.login("user-42")
        auth.refresh(pair.refresh_token)
        assert auth.revoke(pair.session_id)


def test_a_newer_schema_is_refused(url: str) -> None:
    PostgresStore(url).close()
    ask(url, "UPDATE tenure_schema SET version = 99")
    with pytest.raises(SchemaTooNew, match="schema 99"):
        PostgresStore(url)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="can't be reached"):
        PostgresStore("postgresql://127.0.0.1:9/none")


def test_two_instances_share_sessions_and_hear_of_revocations(deployment: Callable[..., Tenure]) -> None:
    one, other = deployment(), deployment()
    pair = other.refresh(one.login("user-42").refresh_token)
    assert one.verify(pair.access_token).subject == "user-42"
    other.revoke(pair.session_id)
    for _ in range(100):
        if pair.session_id in one.issuer.checker._revoked:
            break
        time.sleep(0.05)
    assert pair.session_id in one.issuer.checker._revoked


def test_a_connection_that_was_cut_is_made_anew(url: str, deployment: Callable[..., Tenure]) -> None:
    auth = deployment()
    token = auth.login("user-42").refresh_token
    ask(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()",
    )
    refused = 0
    while True:
        try:
            auth.refresh(token, attempt="attempt-key-of-one-refresh")
            break
        except StoreUnavailable:
            refused += 1
            assert refused < 3
    assert auth.sessions("user-42")[0].head.generation == 1


def test_a_deadlock_is_tried_again_alone(url: str) -> None:
    """A stranger locks the later session of a batch, and then wants the earlier one: the batch is the victim."""
    store = PostgresStore(url)
    first, second = sorted([session(), session()], key=lambda one: one.id)
    for one in (first, second):
        store.run(Create(one))
    update = "UPDATE tenure_sessions SET scope = 'touched' WHERE id = %s"

    async def advance_both() -> list[Session | None]:
        return await asyncio.gather(*[store.arun(advance(one)) for one in (first, second)])

    with psycopg.connect(url) as stranger:
        stranger.execute(update, [bytes.fromhex(second.id)])
        moved: list[Session | None] = []
        batch = threading.Thread(target=lambda: moved.extend(asyncio.run(advance_both())))
        batch.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while ask(url, waiting) == [(0,)]:
            time.sleep(0.02)
        stranger.execute(update, [bytes.fromhex(first.id)])  # answered once the batch has given way
    batch.join()
    store.close()
    assert [one is not None and (one.head.generation, one.scope) for one in moved] == [(1, "touched")] * 2
    ((deadlocks,),) = ask(url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks == 1


def test_a_session_that_stays_locked_is_unavailable(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema.BoundedConnection.wait, "__defaults__", (0.1, 0.5))
    store = PostgresStore(url)
    made = session()
    store.run(Create(made))
    with psycopg.connect(url) as stranger:
        stranger.execute("SELECT FROM tenure_sessions FOR UPDATE")
        with pytest.raises(StoreUnavailable):
            store.run(advance(made))
    for _ in range(100):
        if store.run(advance(made)) is not None:
            break
    store.close()


def test_a_server_that_stops_answering_hangs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema.BoundedConnection.wait, "__defaults__", (0.1, 1.0))
    others = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with (
        contextlib.closing(Postgres()) as server,
        Tenure(server.url(), secret=SECRET, issuer=ISSUER, audience=AUDIENCE, poll=3600) as auth,
    ):
        token = auth.login("user-42").refresh_token
        frozen = [int(str(pid)) for (pid,) in ask(server.url(), others)]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            auth.refresh(token, attempt="attempt-key-of-one-refresh")
        assert time.monotonic() - begun < 4
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        auth.refresh(token, attempt="attempt-key-of-one-refresh")


def test_a_server_that_is_killed_loses_no_answered_refresh() -> None:
    """SIGKILL in mid-load, and a restart: every client carries on, and no write was lost."""
    with contextlib.closing(Postgres()) as server:
        events: list[str] = []
        auth = Tenure(
            server.url(), secret=SECRET, issuer=ISSUER, audience=AUDIENCE, poll=3600,
            on_event=lambda event: events.append(event.kind),
        )  # fmt: skip
        tokens = {number: auth.login(f"user-{number}").refresh_token for number in range(8)}
        away, stop = threading.Event(), threading.Event()

        def client(number: int) -> None:
            generation = 0
            while not stop.is_set():
                try:
                    key = f"attempt-key-{number:04d}-{generation:08d}"
                    tokens[number] = auth.refresh(tokens[number], attempt=key).refresh_token
                    generation += 1
                except StoreUnavailable:
                    away.set()
                    time.sleep(0.05)

        threads = [threading.Thread(target=client, args=(number,)) for number in tokens]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        server.kill()
        assert away.wait(10)
        server.start()
        time.sleep(1)
        stop.set()
        for thread in threads:
            thread.join()
        for token in tokens.values():
            auth.refresh(token)
        assert set(events) <= {"logged_in", "refreshed", "retried"}  # a lost write would have been a rollback
        auth.close()


def test_the_service_runs_on_it_unchanged(url: str, tmp_path: Path) -> None:
    settings = {"store": url, "secret": SECRET}
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n", **settings)
    with service(tmp_path, "--workers", "2", **settings) as address:
        login = httpx2.post(f"{address}/auth/login", json={"username": "ada", "password": PASSWORD}).json()
        token = login["refresh_token"]
        for _ in range(10):
            token = httpx2.post(f"{address}/auth/refresh", json={"refresh_token": token}).json()["refresh_token"]
        assert "ended" in tenure(tmp_path, "sessions", "revoke", "--subject", "ada", **settings).stdout


def test_another_database_needs_a_secret_that_is_given(tmp_path: Path) -> None:
    refused = tenure(tmp_path, "users", "list", store="postgresql://127.0.0.1:9/none")
    assert refused.returncode == 1
    assert "secret" in refused.stderr


def test_reading_goes_by_the_same_store(url: str) -> None:
    store = PostgresStore(url)
    assert store.run(Get("00" * 16)) is None
    assert store.run(ListRecords("account")) == ()
    store.close()


def test_tables_are_not_made_where_that_is_switched_off(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Run: tenure migrate"):
        PostgresStore(url, migrate=False)
    refused = tenure(tmp_path, "serve", store=url, migrate="false", secret=SECRET)
    assert refused.returncode != 0
    assert "Run: tenure migrate" in refused.stderr
    assert tenure(tmp_path, "migrate", store=url, migrate="false").returncode == 0
    PostgresStore(url, migrate=False).close()


def test_a_store_of_the_first_version_is_brought_forward(url: str) -> None:
    """With its feed, whose positions were counted then and are moments now."""
    ask(url, (Path(schema.__file__).parent / "0001_sessions.sql").read_text())
    ask(url, "CREATE TABLE tenure_schema (version integer NOT NULL)")
    ask(url, "INSERT INTO tenure_schema VALUES (1)")
    columns = "'', '', '', '{}', '', 0, 9, 9, 0, '', NULL, 0, NULL, NULL, NULL"
    ask(
        url,
        "INSERT INTO tenure_sessions SELECT decode(repeat('0' || n, 16), 'hex'), "
        f"{columns} FROM generate_series(1, 2) AS n",
    )
    ask(url, r"UPDATE tenure_sessions SET revoked_at = 5 WHERE id = decode(repeat('01', 16), 'hex')")
    store = PostgresStore(url)
    before = store.run(RevokedSince(0))
    assert [session_id for session_id, _ in before.revoked] == ["01" * 16]
    store.run(Revoke("02" * 16, 7.0, "x", "y"))
    assert store.run(RevokedSince(before.position)).revoked == (("02" * 16, 7.0),)
    store.close()
