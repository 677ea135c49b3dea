"""A session that is bound to a key of this device: what is copied of it is worth nothing."""

import asyncio
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import requests

from tenure import ConfigurationError, Policy
from tenure.client import ClientEvent, FileStorage, MemoryStorage, Session, SignedOut, StorageFailed
from tests.client.live import PASSWORD, Live


def session_at(live: Live, **settings: Any) -> Session:
    return Session(live.base, **{"bind": True, "clock": live.clock, **settings})


def logged_in(live: Live, **settings: Any) -> Session:
    session = session_at(live, **settings)
    session.login("ada", PASSWORD)
    return session


def bindings(live: Live) -> list[str]:
    sessions = asyncio.run_coroutine_threadsafe(live.auth.sessions("ada"), live._loop).result(10)
    return [(one.binding or "").partition(":")[0] for one in sessions]


@pytest.mark.parametrize("library", [httpx2, httpx, requests])
def test_requests_carry_proofs(live: Live, library: Any) -> None:
    session = logged_in(live)
    assert bindings(live) == ["dpop"]
    client = requests.Session() if library is requests else library.Client()
    client.auth = session.auth
    for _ in range(3):
        assert client.get(f"{live.url}/api/me?page=1").status_code == 200
        live.expire()
    assert client.post(f"{live.url}/api/me", json={"text": "first"}).status_code == 200
    plain = {"Authorization": f"Bearer {session.token()}"}
    assert httpx2.get(f"{live.url}/api/me", headers=plain).status_code == 401
    assert session.logout()
    assert bindings(live) == []
    assert "stolen_token_refused" not in live.kinds()
    client.close()


def test_asyncio(live: Live) -> None:
    async def story() -> None:
        session = session_at(live)
        await session.alogin("ada", PASSWORD)
        async with httpx2.AsyncClient(auth=session.auth) as client:
            for _ in range(2):
                answers = await asyncio.gather(*[client.get(f"{live.url}/api/me") for _ in range(20)])
                assert {answer.status_code for answer in answers} == {200}
                live.expire()
        headers = await session.aheaders("GET", f"{live.url}/api/me")
        assert httpx2.get(f"{live.url}/api/me", headers=headers).status_code == 200
        assert await session.alogout()

    asyncio.run(story())
    assert "stolen_token_refused" not in live.kinds()


def test_other_libraries_get_headers(live: Live) -> None:
    session = logged_in(live)
    url = f"{live.url}/api/me"
    headers = session.headers("GET", url)
    assert headers["Authorization"].startswith("DPoP ")
    assert httpx2.get(url, headers=headers).status_code == 200
    assert httpx2.get(url, headers=headers).status_code == 401  # a proof is for one request
    assert httpx2.get(url, headers=session.headers("GET", url)).status_code == 200


def test_a_copied_file_is_worth_nothing(live: Live, tmp_path: Path) -> None:
    mine, stolen = tmp_path / "mine" / "session.json", tmp_path / "stolen" / "session.json"
    session = logged_in(live, storage=FileStorage(mine))
    stolen.parent.mkdir()
    shutil.copy(mine, stolen)
    key = mine.with_name("session.json.key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "PRIVATE KEY" not in mine.read_text()
    live.expire()
    thief = session_at(live, storage=FileStorage(stolen))
    with pytest.raises(SignedOut):
        thief.token()
    assert live.kinds().count("stolen_token_refused") == 1
    assert httpx2.get(f"{live.url}/api/me", headers=session.headers("GET", f"{live.url}/api/me")).status_code == 200
    assert bindings(live) == ["dpop"]


def test_several_share_a_storage_and_its_key(live: Live, tmp_path: Path) -> None:
    storages = [FileStorage(tmp_path / "session.json") for _ in range(4)]
    logged_in(live, storage=storages[0])
    sessions = [session_at(live, storage=storage) for storage in storages]
    for _ in range(2):
        live.expire()
        with ThreadPoolExecutor(4) as pool:
            tokens = set(pool.map(lambda session: session.token(surely=True), sessions))
        assert len(tokens) == 1
    url = f"{live.url}/api/me"
    assert {httpx2.get(url, headers=one.headers("GET", url)).status_code for one in sessions} == {200}


def test_one_who_is_logged_in_moves_over(live: Live) -> None:
    storage = MemoryStorage()
    logged_in(live, storage=storage, bind=False)
    assert bindings(live) == [""]
    session = session_at(live, storage=storage)
    live.expire()
    url = f"{live.url}/api/me"
    assert httpx2.get(url, headers=session.headers("GET", url)).status_code == 200
    assert bindings(live) == ["dpop"]
    live.expire()
    with pytest.raises(ConfigurationError, match="bind=True"):
        session_at(live, storage=storage, bind=False).refresh()
    assert session.refresh()


def test_a_lost_response_to_a_bound_refresh_is_retried(live: Live) -> None:
    from tests.client.live import lose

    session = logged_in(live)
    live.expire()
    live.faults += [lose, lose]
    assert session.refresh()
    assert "reuse_detected" not in live.kinds()


def test_a_server_that_does_not_bind_is_noticed(make_live: Callable[..., Live]) -> None:
    live, events = make_live(policy=Policy(binding="off", leeway=0)), list[ClientEvent]()
    session = logged_in(live, on_event=events.append)
    live.expire()
    session.refresh()
    assert [event.kind for event in events] == ["not_bound", "signed_in", "refreshed"]
    assert session.headers("GET", f"{live.url}/api/me")["Authorization"].startswith("Bearer ")
    with pytest.raises(SignedOut) as refused:
        logged_in(live, bind="required")
    assert refused.value.reason == "not_bound"


def test_a_key_that_is_damaged_is_named(live: Live, tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    logged_in(live, storage=FileStorage(path))
    key = path.with_name("session.json.key")
    key.write_text(key.read_text().replace("PRIVATE", "BROKEN"))
    live.expire()
    with pytest.raises(StorageFailed, match="is damaged"):
        session_at(live, storage=FileStorage(path)).token(surely=True)
    assert "stolen_token_refused" not in live.kinds()


@pytest.mark.parametrize("wrong", ["yes", None, 2, "True"])
def test_bind_says_what_it_may_be(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="bind is"):
        Session("https://api.example.com/auth", bind=wrong)


@pytest.mark.parametrize("off", [-86400.0, 5 * 365 * 86400.0])
def test_a_device_may_have_any_clock(live: Live, off: float) -> None:
    session = logged_in(live, clock=lambda: live.clock.now + off)
    url = f"{live.url}/api/me"
    assert httpx2.get(url, headers=session.headers("GET", url)).status_code == 200
    session.refresh()
    assert httpx2.get(url, headers=session.headers("GET", url)).status_code == 200
