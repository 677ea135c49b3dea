"""MySQL and MariaDB: what only they can show. Their neighbours, their failures, their URLs."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tenure import ConfigurationError, StoreUnavailable, Tenure
from tenure.core.calls import Create, Get, GetRecord, ListAudit, PutRecord, Revoke, RevokedSince
from tenure.core.errors import SchemaTooNew
from tenure.core.session import Session
from tenure.stores.mysql import schema
from tenure.stores.mysql.address import addresses
from tenure.stores.mysql.store import MysqlStore
from tests.conftest import AUDIENCE, ISSUER, SECRET
from tests.forks import in_child, unmeasured
from tests.service.process import PASSWORD, service, tenure
from tests.stores.mysql_servers import KINDS, Mysql, mysql_database, mysql_server
from tests.stores.test_conformance import NOW, advance, session


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Mysql:
    return mysql_server(request.param)


@pytest.fixture
def url(server: Mysql) -> str:
    return mysql_database(server)


def name_in(url: str) -> str:
    return url.partition("@localhost/")[2].partition("?")[0]


def test_several_instances_may_start_at_once(url: str) -> None:
    stores: list[MysqlStore] = []
    threads = [threading.Thread(target=lambda: stores.append(MysqlStore(url))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores) == 8
    made = session()
    stores[0].run(Create(made))
    assert all(store.run(Get(made.id)) == made for store in stores)
    for store in stores:
        store.close()


def test_one_of_many_that_write_the_same_record_is_first(url: str) -> None:
    """As instances do that start at once, each with a signing key of its own."""
    stores = [MysqlStore(url) for _ in range(4)]

    async def all_at_once() -> list[bool]:
        puts = [store.arun(PutRecord("signing_key", "first", str(n))) for n, store in enumerate(stores * 10)]
        return await asyncio.gather(*puts)

    written = asyncio.run(all_at_once())
    assert sum(written) == 1
    assert stores[0].run(GetRecord("signing_key", "first")) == str(written.index(True))
    for store in stores:
        store.close()


def test_a_migration_that_was_interrupted_goes_on(server: Mysql, url: str) -> None:
    """MySQL commits each table by itself."""
    MysqlStore(url).close()
    name = name_in(url)
    server.execute(f"DROP TABLE {name}.tenure_schema", f"DROP TABLE {name}.tenure_audit")
    store = MysqlStore(url)
    made = session()
    store.run(Create(made))
    assert store.run(ListAudit(made.subject, NOW)) == ()
    store.close()


def test_a_user_that_may_not_create_tables_will_do_once_they_are_there(server: Mysql, url: str) -> None:
    name = name_in(url)
    role = f"poor_{name}"
    server.execute(
        f"CREATE USER {role}@'%' IDENTIFIED BY 'x'", f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO {role}@'%'"
    )
    poor = url.replace("//root@", f"//{role}:x@")
    with pytest.raises(ConfigurationError, match=r"The store's tables can't be made: CREATE command denied"):
        MysqlStore(poor)
    with pytest.raises(ConfigurationError, match="Run: tenure migrate"):
        MysqlStore(url, migrate=False)
    MysqlStore(url).close()
    store = MysqlStore(poor, migrate=False)
    made = session()
    store.run(Create(made, limit=2))
    assert store.run(advance(made)) is not None
    assert store.run(Revoke(made.id, NOW + 6, "x", "y")) is not None
    assert [id_ for id_, _ in store.run(RevokedSince(0)).revoked] == [made.id]
    store.close()


def test_a_newer_schema_is_refused(server: Mysql, url: str) -> None:
    MysqlStore(url).close()
    server.execute(f"UPDATE {name_in(url)}.tenure_schema SET version = 99")
    with pytest.raises(SchemaTooNew, match="schema 99"):
        MysqlStore(url)


def test_names_are_compared_byte_by_byte(url: str) -> None:
    """Most of MySQL's collations ignore case, accents and trailing spaces."""
    store = MysqlStore(url)
    subjects = ["anna", "Anna", "ánna", "anna ", "anna\u200a", "🦊"]
    for subject in subjects:
        assert store.run(Create(session(subject), limit=1)) == ()
    store.close()


def test_a_connection_that_was_killed_is_made_anew(server: Mysql, url: str) -> None:
    with Tenure(url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE, poll=3600) as auth:
        token = auth.login("user-42").refresh_token
        for (number,) in server.execute(f"SELECT id FROM information_schema.processlist WHERE db = '{name_in(url)}'"):
            server.execute(f"KILL {number}")
        with pytest.raises(StoreUnavailable):
            auth.refresh(token, attempt="attempt-key-of-one-refresh")
        auth.refresh(token, attempt="attempt-key-of-one-refresh")
        assert auth.sessions("user-42")[0].head.generation == 1


def test_a_deadlock_is_tried_again_alone(server: Mysql, url: str) -> None:
    """A stranger locks the later session of a batch, and then wants the earlier one."""
    store = MysqlStore(url)
    first, second = sorted([session(), session()], key=lambda one: one.id)
    for one in (first, second):
        store.run(Create(one))
    update = "UPDATE tenure_sessions SET scope = 'touched' WHERE id = %s"

    async def advance_both() -> list[Session | None]:
        return await asyncio.gather(*[store.arun(advance(one)) for one in (first, second)])

    with contextlib.closing(server.driver(database=name_in(url))) as stranger, stranger.cursor() as cursor:
        stranger.autocommit(False)
        for _ in range(3):  # so that the server takes the batch for the cheaper victim
            cursor.execute("INSERT INTO tenure_records VALUES ('k', uuid(), '')")
        cursor.execute(update, [bytes.fromhex(second.id)])
        moved: list[Session | None] = []
        batch = threading.Thread(target=lambda: moved.extend(asyncio.run(advance_both())))
        batch.start()
        waiting = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        while server.execute(waiting) == ((0,),):
            time.sleep(0.02)
        cursor.execute(update, [bytes.fromhex(first.id)])
        stranger.commit()
    batch.join()
    store.close()
    assert [one is not None and (one.head.generation, one.scope) for one in moved] == [(1, "touched")] * 2


def test_a_session_that_stays_locked_is_unavailable(server: Mysql, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "WAIT_SECONDS", 1)
    store = MysqlStore(url)
    made = session()
    store.run(Create(made))
    with contextlib.closing(server.driver(database=name_in(url))) as stranger, stranger.cursor() as cursor:
        stranger.begin()
        cursor.execute("SELECT 1 FROM tenure_sessions FOR UPDATE")
        with pytest.raises(StoreUnavailable):
            store.run(advance(made))
    for _ in range(100):
        if store.run(advance(made)) is not None:
            break
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_stops_answering_hangs_nobody(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "WAIT_SECONDS", 1)
    with (
        contextlib.closing(Mysql(kind)) as server,
        Tenure(server.url(), secret=SECRET, issuer=ISSUER, audience=AUDIENCE, poll=3600) as auth,
    ):
        token = auth.login("user-42").refresh_token
        server.signal(signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            auth.refresh(token, attempt="attempt-key-of-one-refresh")
        assert time.monotonic() - begun < 4
        server.signal(signal.SIGCONT)
        auth.refresh(token, attempt="attempt-key-of-one-refresh")


def test_a_server_that_is_read_only_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is left: after a failover, the same address may lead to another server."""
    with contextlib.closing(Mysql("mariadb")) as server:
        MysqlStore(server.tcp_url()).close()
        server.execute(
            "CREATE USER app@'%' IDENTIFIED BY 'x'", "GRANT ALL ON tenure.* TO app@'%'", "SET GLOBAL read_only = ON"
        )
        store = MysqlStore(server.tcp_url().replace("tenure:correct%20horse", "app:x"))
        made = session()
        with pytest.raises(StoreUnavailable) as refused:
            store.run(Create(made))
        assert "read-only" in str(refused.value.detail)
        server.execute("SET GLOBAL read_only = OFF")
        assert store.run(Create(made)) == ()
        store.close()
        server.execute("SET GLOBAL read_only = ON")
        with pytest.raises(StoreUnavailable) as refused:
            MysqlStore(server.tcp_url(server))
        assert str(refused.value.detail).count("is read-only") == 2


def test_it_is_encrypted_where_that_is_asked_for(tmp_path: Path) -> None:
    """MySQL makes a certificate for itself."""
    with contextlib.closing(Mysql("mysql")) as server:
        authority = server.data / "ca.pem"
        for options in ("", "?ssl_mode=REQUIRED", f"?ssl_ca={authority}", f"?ssl_mode=verify_ca&ssl_ca={authority}"):
            store = MysqlStore(server.tcp_url() + options)
            cipher = store._connected().execute("SHOW STATUS LIKE 'Ssl_cipher'").fetchone()[1]
            assert cipher, options
            store.close()
        store = MysqlStore(server.tcp_url() + "?ssl_mode=DISABLED")
        assert not store._connected().execute("SHOW STATUS LIKE 'Ssl_cipher'").fetchone()[1]
        store.close()
        for options in ("?ssl_mode=VERIFY_CA", f"?ssl_mode=VERIFY_IDENTITY&ssl_ca={authority}"):
            with pytest.raises(StoreUnavailable) as refused:
                MysqlStore(server.tcp_url() + options)
            assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value.detail)


def test_a_server_that_is_not_there_says_where_and_no_password() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        MysqlStore("mysql://tenure:hunter22@127.0.0.1:1/tenure")
    assert "127.0.0.1:1" in str(refused.value.detail)
    assert "hunter22" not in str(refused.value.detail)


def test_a_password_that_is_wrong_and_a_database_that_is_not_there_are_told(server: Mysql) -> None:
    for url, reason in (
        (server.tcp_url().replace("correct", "wrong"), "Access denied"),
        (server.url("nothing"), "Unknown database"),
    ):
        with pytest.raises(StoreUnavailable) as refused:
            MysqlStore(url)
        assert reason in str(refused.value.detail)
        assert "horse" not in str(refused.value.detail)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://db.internal", "names no database"),
        ("mysql://db.internal/a/b", "names no database"),
        ("mysql://db.internal/tenure?sslmode=require", "option 'sslmode'"),
        ("mysql://db.internal/tenure?ssl_mode=yes", "ssl_mode is one of DISABLED"),
        ("mysql://db.internal/tenure?ssl_ca=/nowhere.pem", "can't be read"),
        ("mysql://db.internal/tenure?ssl_mode", "not one that MySQL's client understands"),
        ("mysql://db.internal:port/tenure", "a port that can't be one"),
        ("mysql://[::1/tenure", "not one that MySQL's client understands"),
    ],
)
def test_urls_that_cannot_work_are_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        MysqlStore(url)


def test_urls_name_hosts_users_and_options() -> None:
    one, other = addresses("mariadb://an%40na:s%3Acret@db1,[::1]:3307/my%20app")
    assert one == {"user": "an@na", "password": "s:cret", "database": "my app", "host": "db1", "port": 3306}
    assert (other["host"], other["port"]) == ("::1", 3307)
    (local,) = addresses("mysql:///tenure?unix_socket=/run/mysqld/mysqld.sock")
    assert local["unix_socket"] == "/run/mysqld/mysqld.sock"


@pytest.fixture
def quiet() -> Iterator[None]:
    with unmeasured():
        yield


def test_a_fork_has_a_connection_of_its_own(url: str, quiet: None) -> None:
    with Tenure(url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE, poll=3600) as auth:
        token = auth.login("user-42").refresh_token
        in_child(lambda: auth.login("user-43"))
        auth.refresh(token)
        assert len(auth.sessions("user-43")) == 1


def test_the_service_runs_on_it_unchanged(url: str, tmp_path: Path) -> None:
    settings = {"store": url, "secret": SECRET}
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n", **settings)
    with service(tmp_path, "--workers", "2", **settings) as address:
        token = httpx2.post(f"{address}/auth/login", json={"username": "ada", "password": PASSWORD}).json()[
            "refresh_token"
        ]
        for _ in range(10):
            token = httpx2.post(f"{address}/auth/refresh", json={"refresh_token": token}).json()["refresh_token"]
        assert "ended" in tenure(tmp_path, "sessions", "revoke", "--subject", "ada", **settings).stdout
