"""`tenure copy`: from each kind of store to each other one, broken off, and while people go on."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tenure import SessionEnded, Tenure
from tenure.cli.commands import tenure as command_line
from tenure.core.calls import GetRecord, ListRecords, PutRecord, Scan
from tenure.stores import copying, open_store
from tenure.stores.protocol import Store
from tests.conftest import AUDIENCE, ISSUER, SECRET
from tests.stores.mysql_servers import mysql_database, mysql_server
from tests.stores.servers import postgres_database, valkey_cluster, valkey_database

URLS: dict[str, Callable[[Path], str]] = {
    "sqlite": lambda folder: f"sqlite:///{folder}/store.db",
    "mariadb": lambda folder: mysql_database(mysql_server("mariadb")),
    "postgres": lambda folder: postgres_database(),
    "valkey": lambda folder: valkey_database(),
    "valkey-cluster": lambda folder: valkey_cluster(),
}


def tenure(url: str) -> Tenure:
    return Tenure(url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE, poll=3600)


def run(*arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(command_line, ["copy", *arguments])
    assert done.exit_code == status, done.output
    return done.output


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("sqlite", "postgres"),
        ("postgres", "mariadb"),
        ("mariadb", "valkey"),
        ("valkey", "valkey-cluster"),
        ("valkey-cluster", "sqlite"),
    ],
)
def test_everybody_stays_logged_in(source: str, target: str, tmp_path: Path) -> None:
    old_url, new_url = URLS[source](tmp_path), URLS[target](tmp_path)
    with tenure(old_url) as old:
        old.store.run(PutRecord("client", "app", "secret"))
        pairs = [old.refresh(old.login(f"user-{number % 20}").refresh_token) for number in range(60)]
        gone = old.login("user-0")
        old.revoke(gone.session_id)
        known = {f"user-{number}": old.sessions(f"user-{number}") for number in range(20)}
        trail = old.audit("user-0")
    said = json.loads(run(old_url, new_url, "--json"))
    assert said == {"records": 3, "sessions": 61, "audit": 62, "verified": 61, "again": 0, "missing": 0}
    assert json.loads(run(old_url, new_url, "--json"))["audit"] == 0  # once more takes only what is new
    with tenure(new_url) as new:
        assert new.audit("user-0") == trail
        assert {subject: new.sessions(subject) for subject in known} == known
        assert new.store.run(GetRecord("client", "app")) == "secret"
        assert new.store.run(ListRecords("copy")) == ()
        assert new.verify(pairs[0].access_token).subject == "user-0"  # the signing keys came along
        assert gone.session_id in new.issuer.checker._revoked
        for pair in pairs:
            new.refresh(pair.refresh_token)
        with pytest.raises(SessionEnded):
            new.refresh(gone.refresh_token)


def test_a_copy_goes_on_where_it_was_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "PAGE", 10)
    source, target = open_store(f"sqlite:///{tmp_path}/a.db"), open_store(f"sqlite:///{tmp_path}/b.db")
    with tenure(f"sqlite:///{tmp_path}/a.db") as auth:
        for number in range(95):
            auth.login(f"user-{number}")

    class Broken(Exception):
        pass

    def break_off(task: str, done: float) -> None:
        if done > 0.5:
            raise Broken

    def go(watch: Any) -> copying.Copied:
        return asyncio.run(copying.copy(source, target, name="x", now=0.0, watch=watch))

    with pytest.raises(Broken):
        go(break_off)
    half = len(target.run(Scan("", 1000)).sessions)
    assert 40 <= half <= 70
    done = go(lambda task, seen: None)
    assert done.sessions == 95 - (half - 10)  # the page that was broken off is copied once more
    assert (done.verified, done.again, done.missing) == (95, 0, 0)
    for store in (source, target):
        store.close()


def test_what_moves_on_meanwhile_is_carried_over_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    target = open_store(f"sqlite:///{tmp_path}/b.db")
    with tenure(url) as auth:
        first, second, _ = (auth.login(f"user-{number}") for number in range(3))

        def meanwhile(task: str, done: float) -> None:
            if task == "copying":
                auth.refresh(first.refresh_token)
                auth.revoke(second.session_id)
                auth.login("user-9")

        done = asyncio.run(copying.copy(auth.store, target, name="x", now=0.0, watch=meanwhile))
        assert (done.sessions, done.verified, done.again, done.missing) == (3, 4, 3, 0)
        for one in auth.store.run(Scan("", 10)).sessions:
            assert one in target.run(Scan("", 10)).sessions
    target.close()


def test_a_refresh_after_the_last_look_logs_nobody_out(tmp_path: Path) -> None:
    source, target = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    with tenure(source) as auth:
        pair = auth.refresh(auth.login("user-42").refresh_token)
        run(source, target)
        pair = auth.refresh(pair.refresh_token)
    with tenure(target) as auth:
        assert auth.refresh(pair.refresh_token).session_id == pair.session_id


def test_what_the_target_does_not_keep_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    with tenure(source) as auth:
        auth.login("user-42")

    async def forgetful(target: Store, session: object, now: float) -> bool:
        return True

    monkeypatch.setattr(copying, "_carry", forgetful)
    assert "1 sessions still differ" in run(source, target, status=1)
    assert "forms" in run("nowhere://", target, status=1)
