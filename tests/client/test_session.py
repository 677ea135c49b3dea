"""The client against a real service: nobody notices that the access token has expired, whatever goes wrong."""

import asyncio
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import requests

from tenure.client import (
    ClientEvent,
    FileStorage,
    MemoryStorage,
    OriginRefused,
    RefreshFailed,
    Session,
    SignedOut,
    StorageFailed,
)
from tenure.core.errors import ConfigurationError
from tests.client.live import PASSWORD, Live, instead, kept, late, lose
from tests.conftest import Clock

Get = Callable[[str], Any]


@pytest.fixture
def events() -> list[ClientEvent]:
    return []


@pytest.fixture
def session(live: Live, events: list[ClientEvent]) -> Session:
    made = Session(live.base, storage=MemoryStorage(), on_event=events.append, timeout=2)
    made.login("ada", PASSWORD, "tests")
    return made


class Library:
    """One way to send requests: a library, blocking or asyncio."""

    def __init__(self, name: str, session: Session) -> None:
        self.name, self.session = name, session

    def request(self, method: str, url: str, **details: Any) -> Any:
        if self.name == "requests":
            with requests.Session() as http:
                http.auth = self.session.auth
                return http.request(method, url, timeout=10, data=details.get("content"))
        module = httpx if self.name.startswith("httpx-") else httpx2
        if self.name.endswith("blocking"):
            with module.Client(auth=self.session.auth) as client:
                return client.request(method, url, **details)

        async def send() -> Any:
            async with module.AsyncClient(auth=self.session.auth) as client:
                return await client.request(method, url, **details)

        return asyncio.run(send())


LIBRARIES = ["httpx-blocking", "httpx-asyncio", "httpx2-blocking", "httpx2-asyncio", "requests"]


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, session: Session) -> Library:
    return Library(request.param, session)


def test_a_request_carries_the_token(live: Live, library: Library) -> None:
    answer = library.request("GET", f"{live.url}/api/me")
    assert (answer.status_code, answer.json()["sub"]) == (200, "ada")
    assert live.refreshes == 0


def test_a_401_is_refreshed_and_the_request_repeated(live: Live, library: Library, events: list[ClientEvent]) -> None:
    live.expire()
    answer = library.request("POST", f"{live.url}/api/me", content=b"x" * 1000)
    assert (answer.status_code, answer.json()["bytes"]) == (200, 1000)
    assert (live.refreshes, live.counts["/api/me"]) == (1, 2)
    assert [event.kind for event in events] == ["signed_in", "refreshed"]


def test_a_401_after_that_is_the_callers(live: Live, library: Library) -> None:
    live.auth.issuer.checker._audience = "somebody else"  # no token helps here
    answer = library.request("GET", f"{live.url}/api/me")
    assert answer.status_code == 401
    assert (live.refreshes, live.counts["/api/me"]) == (1, 2)


def test_a_stream_is_never_sent_twice(live: Live, library: Library) -> None:
    """A token of unknown age is refreshed before the stream goes; a 401 is then the caller's, with the reason."""

    async def apieces() -> Any:
        yield b"x" * 10
        yield b"y" * 10

    def body() -> Any:
        return apieces() if library.name.endswith("asyncio") else iter([b"x" * 10, b"y" * 10])

    answer = library.request("POST", f"{live.url}/api/me", content=body())
    assert answer.json()["bytes"] == 20
    live.expire()
    answer = library.request("POST", f"{live.url}/api/me", content=body())
    assert answer.status_code == 401
    why = answer.reason if library.name == "requests" else answer.extensions["tenure"]
    assert "its body is a stream" in why
    assert live.counts["/api/me"] == 2


def test_a_stream_goes_with_a_fresh_token_where_the_age_is_unknown(live: Live, session: Session) -> None:
    reopened = Session(live.base, storage=session._kept._storage)
    live.expire()
    with httpx2.Client(auth=reopened.auth) as client:
        assert client.post(f"{live.url}/api/me", content=iter([b"x"])).status_code == 200
    assert live.counts["/api/me"] == 1


def test_the_token_is_renewed_shortly_before_it_expires(live: Live) -> None:
    monotonic = Clock(0)
    session = Session(live.base, monotonic=monotonic)
    session.login("ada", PASSWORD)
    first = session.token()
    monotonic.advance(569)
    assert session.token() == first
    monotonic.advance(1)  # thirty seconds before
    assert session.token() != first
    assert live.refreshes == 1


def test_a_jump_of_the_wall_clock_changes_nothing(
    live: Live, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setattr(time, "time", lambda: 0.0)
    session.token()
    assert live.refreshes == 0


@pytest.mark.parametrize(
    "fault", [lose, instead(503), instead(500), instead(502), instead(429, retry_after="0"), instead(200)]
)
def test_faults_are_tried_again_with_the_same_key(live: Live, session: Session, fault: Any) -> None:
    live.expire()
    live.faults += [fault, fault]
    assert session.renewed(session.token())
    assert live.refreshes == 3
    assert set(live.kinds()) <= {"logged_in", "refreshed", "retried"}
    live.expire()
    session.renewed(session.token())


def test_a_fault_that_stays_keeps_the_session(live: Live, session: Session, events: list[ClientEvent]) -> None:
    live.faults += [instead(503)] * 5
    with pytest.raises(RefreshFailed, match="answered 503"):
        session.renewed(session.token())
    assert live.refreshes == 5
    assert session.signed_in
    with pytest.raises(RefreshFailed, match="a moment ago"):
        session.renewed(session.token())
    assert live.refreshes == 5
    assert session.refresh()
    assert "signed_out" not in [event.kind for event in events]


def test_a_server_that_is_away_keeps_the_session(live: Live, session: Session) -> None:
    session._driver._endpoints = type(session._endpoints)("http://127.0.0.1:9/auth")
    with pytest.raises(RefreshFailed, match="can't be reached"):
        session.renewed(session.token())
    assert session.signed_in


def test_a_late_answer_is_retried_and_believed(live: Live, session: Session) -> None:
    session._driver._sender._timeout = 0.2
    live.faults.append(late(0.6))
    live.expire()
    session.renewed(session.token())
    assert live.kinds()[-1] == "retried"


def test_an_ended_session_is_told(live: Live, library: Library, events: list[ClientEvent]) -> None:
    live.run(live.auth.revoke_all("ada"))
    with pytest.raises(SignedOut, match="revoked"):
        library.request("GET", f"{live.url}/api/me")
    assert events[-1] == ClientEvent("signed_out", "revoked")
    assert not library.session.signed_in
    with pytest.raises(SignedOut, match="Nobody is logged in"):
        library.request("GET", f"{live.url}/api/me")


def test_wrong_credentials_and_no_answer_at_login(live: Live) -> None:
    session = Session(live.base)
    with pytest.raises(SignedOut, match="wrong"):
        session.login("ada", "wrong password")
    with pytest.raises(RefreshFailed):
        Session("http://127.0.0.1:9/auth").login("ada", PASSWORD)
    assert not session.signed_in


def test_logout_ends_it_here_and_there(live: Live, session: Session, events: list[ClientEvent]) -> None:
    session.logout()
    assert live.kinds()[-1] == "revoked"
    assert events[-1] == ClientEvent("signed_out", "logged_out")
    assert not session.signed_in
    session.logout()  # once more is no error
    assert live.counts["/auth/logout"] == 1


def test_login_and_logout_with_await(live: Live) -> None:
    async def story() -> None:
        session = Session(live.base)
        await session.alogin("ada", PASSWORD)
        assert await session.atoken()
        await session.alogout()
        with pytest.raises(SignedOut):
            await session.atoken()

    asyncio.run(story())
    assert live.kinds() == ["logged_in", "revoked"]


def test_threads_refresh_once(live: Live, session: Session) -> None:
    live.expire()
    statuses: list[int] = []

    def call() -> None:
        with httpx2.Client(auth=session.auth) as client:
            statuses.append(client.get(f"{live.url}/api/me").status_code)

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 16
    assert live.refreshes == 1


def test_tasks_refresh_once(live: Live, session: Session) -> None:
    live.expire()

    async def call_all() -> list[int]:
        async with httpx2.AsyncClient(auth=session.auth, timeout=30) as client:
            answers = await asyncio.gather(*[client.get(f"{live.url}/api/me") for _ in range(100)])
        return [answer.status_code for answer in answers]

    assert asyncio.run(call_all()) == [200] * 100
    assert live.refreshes == 1


def test_a_task_that_gives_up_does_not_stop_the_refresh_of_the_others(live: Live, session: Session) -> None:
    live.expire()
    live.faults.append(late(0.3))

    async def story() -> None:
        used = session.token()
        impatient = asyncio.ensure_future(session.arenewed(used))
        patient = asyncio.ensure_future(session.arenewed(used))
        await asyncio.sleep(0.1)
        impatient.cancel()
        assert await patient != used

    asyncio.run(story())
    assert live.refreshes == 1


def test_redirects_to_another_origin_carry_no_token(live: Live, library: Library) -> None:
    follow = {} if library.name == "requests" else {"follow_redirects": True}
    answer = library.request("GET", f"{live.url}/api/elsewhere", **follow)
    assert answer.json() == {"authorization": ""}


def test_another_origin_gets_no_token_unless_it_is_named(live: Live, library: Library) -> None:
    elsewhere = f"http://localhost:{live.port}/api/me"
    with pytest.raises(OriginRefused, match=r"name that origin in Session\(origins=\[…\]\)"):
        library.request("GET", elsewhere)
    assert live.counts["/api/me"] == 0
    named = Session(live.base, storage=library.session._kept._storage, origins=[f"http://localhost:{live.port}"])
    assert Library(library.name, named).request("GET", elsewhere).status_code == 200


@pytest.mark.parametrize("url", ["http://api.example.com/auth", "ftp://localhost/auth", "api.example.com/auth"])
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    with pytest.raises(OriginRefused, match="not https"):
        Session(url)
    with pytest.raises(OriginRefused):
        Session("https://api.example.com/auth", origins=[url])


def test_any_standard_token_endpoint_will_do(live: Live, events: list[ClientEvent]) -> None:
    tokens = live.run(live.auth.login("user-42"))
    session = Session.standard(f"{live.url}/oauth/token", "first-party", on_event=events.append)
    session.adopt(tokens.refresh_token)
    with httpx2.Client(auth=session.auth) as client:
        assert client.get(f"{live.url}/api/me").json()["sub"] == "user-42"
        live.expire()
        live.faults.append(lose)
        assert client.get(f"{live.url}/api/me").status_code == 200
    assert live.kinds()[-1] == "retried"
    with pytest.raises(ConfigurationError, match="adopt"):
        session.login("ada", PASSWORD)
    session.logout()


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    import os

    before = os.umask(mask)
    yield
    os.umask(before)


def test_a_file_is_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "app" / "session")
    assert storage.load("a") is None
    with _umask(0):
        assert storage.swap("a", None, "one")
        release = storage.try_lock("a")
    path = tmp_path / "app" / "session"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    before = path.stat().st_ino
    assert not storage.swap("a", None, "two")
    assert storage.swap("a", "one", "two")
    assert (storage.load("a"), path.stat().st_ino == before) == ("two", False)
    assert FileStorage(path).try_lock("a") is None
    assert release is not None
    release()
    again = FileStorage(path).try_lock("a")
    assert again is not None
    again()
    assert storage.swap("b", None, "other")
    assert storage.swap("a", "two", None)
    assert (storage.load("a"), storage.load("b")) == (None, "other")
    assert storage.swap("b", "other", None)
    assert [file.name for file in path.parent.iterdir() if not file.name.endswith(".lock")] == []


def test_a_file_that_cannot_be_written_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    storage = FileStorage(tmp_path / "session")
    storage.swap("a", None, "one")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFailed, match=r"session can't be written: No space left on device\."):
        storage.swap("a", "one", "two")
    assert storage.load("a") == "one"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["session", "session.lock"]


def test_a_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    FileStorage("~/.config/app/session").swap("a", None, "x")
    assert (tmp_path / ".config/app/session").exists()


def test_the_operating_systems_keyring(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring
    from keyring.backend import KeyringBackend
    from keyring.errors import PasswordDeleteError

    from tenure.client import KeyringStorage

    class InMemory(KeyringBackend):
        priority = 1  # type: ignore[assignment]

        def __init__(self) -> None:
            super().__init__()
            self.kept: dict[tuple[str, str], str] = {}

        def get_password(self, service: str, username: str) -> str | None:
            return self.kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.kept[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            if self.kept.pop((service, username), None) is None:
                raise PasswordDeleteError

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    try:
        session = Session(live.base, storage=KeyringStorage("app", "ada"))
        session.login("ada", PASSWORD)
        live.expire()
        assert session.renewed(session.token())
        session.logout()
        assert KeyringStorage("app", "ada").load(f"{live.base}/refresh") is None
    finally:
        keyring.set_keyring(before)


def test_faults_are_tried_again_with_await(live: Live, session: Session) -> None:
    async def story() -> None:
        live.expire()
        live.faults += [lose, instead(503)]
        first = await session.arenewed(session.token())
        assert live.refreshes == 3
        live.faults += [instead(503)] * 5
        with pytest.raises(RefreshFailed):
            await session.arenewed(first)
        await asyncio.to_thread(live.run, live.auth.revoke_all("ada"))
        with pytest.raises(SignedOut):
            await session.arefresh()

    asyncio.run(story())
    assert live.kinds()[1] == "refreshed"


def test_a_confidential_client_at_a_standard_endpoint_revokes_at_log_out(live: Live) -> None:
    import os

    from tenure.client.endpoints import StandardEndpoints
    from tenure.http.clients import add_client

    secret = live.run(live.auth.run(add_client("app", os.urandom, public=False)))
    tokens = live.run(live.auth.login("user-42", client_id="app"))
    endpoints = StandardEndpoints(f"{live.url}/oauth/token", "app", secret, f"{live.url}/oauth/revoke")
    assert secret not in repr(endpoints)
    session = Session(endpoints=endpoints)
    session.adopt(tokens.refresh_token, tokens.access_token)
    session.renewed(tokens.access_token)
    assert session.logout()
    assert live.kinds()[-2:] == ["refreshed", "revoked"]
    Session.standard(f"{live.url}/oauth/token", "app", secret).logout()  # nobody is logged in


def test_without_its_packages_the_client_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("tenure.client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(ModuleNotFoundError, match=r"filelock is missing.: pip install 'tenure\[client\]'"):
        import tenure.client  # noqa: F401


def test_a_wait_that_is_longer_than_ones_patience_is_not_waited_for(live: Live, session: Session) -> None:
    import time

    live.faults.append(instead(429, retry_after="300"))
    begun = time.monotonic()
    with pytest.raises(RefreshFailed, match="answered 429"):
        session.renewed(session.token())
    assert time.monotonic() - begun < 2
    assert live.refreshes == 1
    assert session.refresh()


def test_a_log_in_during_a_refresh_of_the_session_before_wins(live: Live, tmp_path: Path) -> None:
    path = tmp_path / "session"
    old = Session(live.base, storage=FileStorage(path))
    old.login("ada", PASSWORD)
    live.faults.append(late(0.5))
    refreshing = threading.Thread(target=lambda: old.renewed(old.token()))
    refreshing.start()
    while live.refreshes == 0:
        threading.Event().wait(0.01)
    new = Session(live.base, storage=FileStorage(path))
    new.login("bob", PASSWORD)
    refreshing.join()
    credentials = kept(path, live.base)
    assert credentials is not None
    assert credentials.access_token == new.token()
    assert live.run(live.auth.verify(old.renewed(old.token()))).subject == "bob"
