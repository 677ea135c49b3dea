"""SQLite as the embedded default: its file, its versions, its neighbours, its failures, its size."""

import asyncio
import multiprocessing
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from tenure import ConfigurationError, StoreUnavailable, Tenure
from tenure.core.calls import Get, ListRecords, PutRecord
from tenure.core.errors import SchemaTooNew
from tenure.stores.sqlite.store import SqliteStore
from tests.conftest import AUDIENCE, ISSUER, SECRET


def deployment(path: Path) -> Tenure:
    return Tenure(f"sqlite:///{path}", secret=SECRET, issuer=ISSUER, audience=AUDIENCE, poll=3600)


def test_the_file_is_durable_and_private(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    store.run(PutRecord("kind", "name", "body"))
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == ["store.db"]


def test_what_is_written_outlives_the_process(tmp_path: Path) -> None:
    with deployment(tmp_path / "store.db") as auth:
        pair = auth.login("user-42")
    with deployment(tmp_path / "store.db") as auth:
        assert auth.verify(pair.access_token).subject == "user-42"
        auth.refresh(pair.refresh_token)


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    SqliteStore(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SchemaTooNew, match=r"newer version of tenure \(schema 99"):
        SqliteStore(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)
    connection.close()


def test_an_older_schema_is_brought_forward(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    sqlite3.connect(path).close()  # an empty file is version 0
    store = SqliteStore(path)
    assert store.run(ListRecords("account")) == ()
    store.close()


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(ConfigurationError, match="another program's database"):
        SqliteStore(path)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are not the bytes you are looking for" * 50)
    with pytest.raises(ConfigurationError, match="can't be opened"):
        SqliteStore(path)
    with pytest.raises(ConfigurationError, match="can't be opened"):
        SqliteStore(tmp_path)
    with pytest.raises(ConfigurationError, match="does not exist"):
        SqliteStore(tmp_path / "no" / "store.db")


def test_a_failing_disk_is_unavailable_and_recovers(tmp_path: Path) -> None:
    with deployment(tmp_path / "store.db") as auth:
        pair = auth.login("user-42")
        auth.store._connection.execute("PRAGMA max_page_count = 1")  # no page more: as a full disk
        auth.store._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreUnavailable, match="can't be written right now"):
            auth.refresh(pair.refresh_token)
        auth.store._connection.execute("PRAGMA query_only = OFF")
        auth.refresh(pair.refresh_token)


def test_a_locked_file_is_unavailable_and_recovers(tmp_path: Path) -> None:
    with deployment(tmp_path / "store.db") as auth:
        pair = auth.login("user-42")
        auth.store._connection.execute("PRAGMA busy_timeout = 1")
        blocker = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"can't be written"):
            auth.refresh(pair.refresh_token)
        assert auth.sessions("user-42")  # reading goes on
        blocker.execute("ROLLBACK")
        blocker.close()
        auth.refresh(pair.refresh_token)


def test_a_refresh_adds_no_row_and_no_page(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with deployment(path) as auth:
        token = auth.login("user-42").refresh_token

        def pages() -> int:
            return auth.store._connection.execute("PRAGMA page_count").fetchone()[0]

        before = pages()
        for _ in range(1000):
            token = auth.refresh(token).refresh_token
        counts = [
            auth.store._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("sessions", "revocations", "records")
        ]
        assert counts == [1, 0, 2]  # a signing key, and since when there are companion cookies
        assert pages() == before


def test_columns_that_a_refresh_changes_carry_no_index(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "store.db").close()
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as connection:
        indexed = [
            column
            for (index,) in connection.execute("SELECT name FROM pragma_index_list('sessions')").fetchall()
            for (column,) in connection.execute("SELECT name FROM pragma_index_info(?)", (index,))
        ]
    connection.close()
    assert sorted(set(indexed)) == ["created_at", "id", "subject"]


def test_neither_token_nor_nonce_is_in_the_file(tmp_path: Path) -> None:
    import base64

    path = tmp_path / "store.db"
    with deployment(path) as auth:
        pair = auth.login("user-42")
        second = auth.refresh(pair.refresh_token)
    content = path.read_bytes()
    for token in (pair.refresh_token, second.refresh_token):
        raw = base64.urlsafe_b64decode(token[5:])
        assert token.encode() not in content
        for nonce in (raw[36:52], raw[52:68]):
            assert nonce not in content


def _refresh_in_another_process(path: Path, tokens: list[str], answers: "multiprocessing.Queue[int]") -> None:
    with deployment(path) as auth:
        for _ in range(20):
            tokens = [auth.refresh(token).refresh_token for token in tokens]
        answers.put(len(tokens))


def test_several_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    with deployment(path) as auth:
        tokens = [auth.login(f"user-{number}").refresh_token for number in range(15)]
        processes = [
            context.Process(target=_refresh_in_another_process, args=(path, tokens[part::3], answers))
            for part in range(3)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0, 0]
        assert sorted(answers.get() for _ in processes) == [5, 5, 5]
        for number in range(15):
            (session,) = auth.sessions(f"user-{number}")
            assert session.head.generation == 20


def _open(path: Path) -> None:
    SqliteStore(path).close()


def test_several_processes_may_make_the_file_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open, args=(tmp_path / "store.db",)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4


def test_calls_that_wait_together_commit_together(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    sizes: list[int] = []
    commit = store._commits._commit
    store._commits._commit = lambda calls: sizes.append(len(calls)) or commit(calls)

    async def ask() -> None:
        await asyncio.gather(*[store.arun(Get(os.urandom(16).hex())) for _ in range(300)])

    asyncio.run(ask())
    assert sizes == [128, 128, 44]
    store.run(Get("00" * 16))
    assert sizes[-1] == 1
    store.close()
