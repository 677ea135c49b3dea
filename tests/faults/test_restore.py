"""A backup is restored: what docs/operations.md says of it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tenure import Policy, SessionEnded, Tenure
from tenure.core.errors import StoreUnavailable
from tests.conftest import AUDIENCE, ISSUER, SECRET


def back_up(database: Path, into: Path) -> None:
    with sqlite3.connect(database) as source, sqlite3.connect(into) as target:
        source.backup(target)
    source.close()
    target.close()


def deployment(database: Path, **policy: str) -> Tenure:
    url = f"sqlite:///{database}"
    return Tenure(url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE, poll=3600, policy=Policy(**policy))  # type: ignore[arg-type]


def outcome(refresh: Callable[[str], object], token: str) -> str:
    try:
        refresh(token)
    except SessionEnded as ended:
        return ended.reason
    return "goes on"


@pytest.mark.parametrize(("rollback", "many"), [("proof", "unknown"), ("tag", "goes on")])
def test_what_becomes_of_sessions_that_went_on_after_the_backup(tmp_path: Path, rollback: str, many: str) -> None:
    with deployment(tmp_path / "live.db") as auth:
        untouched, once, often, ended = (auth.login(f"user-{number}") for number in range(4))
        back_up(tmp_path / "live.db", tmp_path / "backup.db")
        once = auth.refresh(once.refresh_token)
        for _ in range(3):
            often = auth.refresh(often.refresh_token)
        auth.revoke(ended.session_id)
        new = auth.login("user-9")
    with deployment(tmp_path / "backup.db", rollback=rollback) as auth:
        assert outcome(auth.refresh, untouched.refresh_token) == "goes on"
        assert outcome(auth.refresh, once.refresh_token) == "goes on"
        assert outcome(auth.refresh, often.refresh_token) == many
        assert outcome(auth.refresh, new.refresh_token) == "unknown"
        assert outcome(auth.refresh, ended.refresh_token) == "goes on"  # until it is ended once more


def test_an_instance_that_runs_on_ends_once_more_what_it_has_heard_of(tmp_path: Path) -> None:
    with deployment(tmp_path / "live.db") as auth:
        pair = auth.login("user-42")
        back_up(tmp_path / "live.db", tmp_path / "backup.db")
        auth.revoke(pair.session_id)
        with deployment(tmp_path / "backup.db") as restored:
            auth._failed_upkeep(StoreUnavailable())  # the store was away
            auth.store, live = restored.store, auth.store
            auth.run(auth._upkeep())
            assert restored.sessions("user-42") == ()
            auth.store = live
