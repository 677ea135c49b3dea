"""The Python client while the server is away, refuses everything, or is another one than before."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import requests

from tenure.client import ClientEvent, FileStorage, MemoryStorage, RefreshFailed, Session, SignedOut
from tenure.core.errors import ConfigurationError
from tests.client.live import PASSWORD, Live, instead, kept, late
from tests.client.test_session import LIBRARIES, Library
from tests.conftest import Clock
from tests.forks import in_child


def logged_in(live: Live, **how: Any) -> Session:
    session = Session(live.base, **how)
    session.login("ada", PASSWORD)
    return session


def outcomes(count: int, work: Callable[[], object]) -> list[str]:
    """What comes of `work` in so many threads at once: the name of what each raised, or ''."""
    found: list[str] = []

    def one() -> None:
        try:
            work()
            found.append("")
        except Exception as problem:  # noqa: BLE001 - its name is what is looked at
            found.append(type(problem).__name__)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_threads_share_one_failure(live: Live) -> None:
    session = logged_in(live, attempts=3)
    live.faults += [instead(503)] * 100
    used = session.token()
    assert outcomes(40, lambda: session.renewed(used)) == ["RefreshFailed"] * 40
    assert live.refreshes == 3
    assert outcomes(40, lambda: session.renewed(used)) == ["RefreshFailed"] * 40
    assert live.refreshes == 3
    assert set(outcomes(5, session.refresh)) == {"RefreshFailed"}  # asked for, and tried once
    assert live.refreshes == 4


def test_tasks_share_one_failure(live: Live) -> None:
    session = logged_in(live, attempts=3)
    live.faults += [instead(503)] * 100
    used = session.token()

    async def story() -> list[object]:
        return list(await asyncio.gather(*(session.arenewed(used) for _ in range(40)), return_exceptions=True))

    for _ in range(2):
        assert {type(one) for one in asyncio.run(story())} == {RefreshFailed}
        assert live.refreshes == 3


def test_a_server_that_does_not_answer_costs_one_round(live: Live) -> None:
    session = logged_in(live, attempts=2, timeout=0.3)
    live.faults += [late(1)] * 100
    used, begun = session.token(), time.monotonic()
    assert outcomes(40, lambda: session.renewed(used)) == ["RefreshFailed"] * 40
    assert time.monotonic() - begun < 3
    assert live.refreshes == 2


def test_processes_with_one_storage_share_a_failure(live: Live, tmp_path: Path) -> None:
    clock = Clock()
    first = logged_in(live, storage=FileStorage(tmp_path / "session"), attempts=3, clock=clock)
    second = Session(live.base, storage=FileStorage(tmp_path / "session"), attempts=3, clock=clock)
    used = second.token()
    live.faults += [instead(503)] * 4
    for session in (first, second):
        with pytest.raises(RefreshFailed):
            session.renewed(used)
    assert live.refreshes == 3
    clock.advance(1)
    with pytest.raises(RefreshFailed):
        second.renewed(used)
    assert live.refreshes == 4  # tried once, not a whole round
    clock.advance(2)
    assert second.renewed(used) == first.renewed(used) != used
    assert live.refreshes == 5


@pytest.mark.parametrize("way", ["blocking", "asyncio"])
def test_a_token_that_is_good_is_used_whatever_the_server_does(live: Live, way: str) -> None:
    monotonic, clock = Clock(0), Clock()
    session = logged_in(live, monotonic=monotonic, clock=clock)
    ask = session.token if way == "blocking" else lambda: asyncio.run(session.atoken())
    first = ask()
    for each in (monotonic, clock):
        each.advance(575)  # about to expire
    live.faults += [instead(503)] * 2
    assert ask() == first
    assert live.refreshes == 1
    assert ask() == first  # nobody waits for a round
    assert live.refreshes == 1
    clock.advance(1)
    assert ask() == first
    assert live.refreshes == 2
    clock.advance(2)
    assert ask() != first


def test_nobody_waits_for_a_refresh_while_the_token_is_good(live: Live) -> None:
    monotonic, clock = Clock(0), Clock()
    session = logged_in(live, monotonic=monotonic, clock=clock)
    first = session.token()
    for each in (monotonic, clock):
        each.advance(575)
    live.faults.append(late(1))
    slow = threading.Thread(target=session.token)
    slow.start()
    while not live.refreshes:
        time.sleep(0.01)
    begun = time.monotonic()
    assert session.token() == first
    assert time.monotonic() - begun < 0.5
    slow.join()
    assert session.token() != first


def test_the_client_is_silent(live: Live) -> None:
    script = (
        "import sys\n"
        "from tenure.client import FileStorage, RefreshFailed, Session\n"
        "session = Session('http://127.0.0.1:9/auth', attempts=3)\n"
        "session.adopt('refresh token', 'access token')\n"
        "try:\n    session.refresh()\n"
        "except RefreshFailed:\n    print('failed')\n"
        "session = Session('http://127.0.0.1:9/auth', storage=FileStorage(sys.argv[1]))\n"
        "session.adopt('refresh token', 'access token')\n"
        "print(session.token())\n"
    )
    told = subprocess.run([sys.executable, "-c", script, "/dev/null/x"], capture_output=True, text=True, check=True)
    assert (told.stdout, told.stderr) == ("failed\naccess token\n", "")


def test_logging_out_waits_for_no_refresh_and_drops_what_that_brings(live: Live, tmp_path: Path) -> None:
    session = logged_in(live, storage=FileStorage(tmp_path / "session"))
    used = session.token()
    live.faults.append(late(1))
    found: list[list[str]] = []
    refreshing = threading.Thread(target=lambda: found.append(outcomes(1, lambda: session.renewed(used))))
    refreshing.start()
    while not live.refreshes:
        time.sleep(0.01)
    begun = time.monotonic()
    assert session.logout()
    assert time.monotonic() - begun < 0.5
    refreshing.join()
    assert found == [["SignedOut"]]
    assert not session.signed_in
    assert not (tmp_path / "session").exists()
    with pytest.raises(SignedOut):
        session.token()


def test_a_log_out_that_the_server_has_not_heard_of_is_told_later(live: Live, tmp_path: Path) -> None:
    path, clock = tmp_path / "session", Clock()
    session = logged_in(live, storage=FileStorage(path), clock=clock)
    away = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(503)))
    offline = Session(live.base, storage=FileStorage(path), http=away, clock=clock)
    assert not offline.logout()
    assert not offline.signed_in
    with pytest.raises(SignedOut):
        offline.token()
    assert "revoked" not in live.kinds()
    again = Session(live.base, storage=FileStorage(path), clock=clock)
    clock.advance(5)
    with pytest.raises(SignedOut):
        again.token()
    assert live.kinds()[-1] == "revoked"
    assert not path.exists()
    with pytest.raises(SignedOut):
        session.renewed(session.token())


def test_a_log_out_that_waits_is_told_after_the_next_login(live: Live, tmp_path: Path) -> None:
    path = tmp_path / "session"
    logged_in(live, storage=FileStorage(path))
    away = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(503)))
    assert not Session(live.base, storage=FileStorage(path), http=away).logout()
    again = Session(live.base, storage=FileStorage(path))
    again.login("bob", PASSWORD)
    assert live.kinds() == ["logged_in", "logged_in", "revoked"]
    assert live.run(live.auth.verify(again.token())).subject == "bob"


@pytest.mark.asvs("7.2.4")
def test_a_login_ends_the_session_that_it_replaces(live: Live) -> None:
    session = logged_in(live)
    session.login("bob", PASSWORD)
    assert live.kinds() == ["logged_in", "logged_in", "revoked"]
    assert live.run(live.auth.sessions("ada")) == ()


class Resources:
    """Requests of any library to two resources: one that takes the session's tokens, one that refuses every token."""

    def __init__(self, live: Live, name: str, session: Session) -> None:
        self.live, self.library = live, Library(name, session)

    def ask(self, path: str) -> Any:
        return self.library.request("GET", f"{self.live.url}{path}")


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_resource_that_refuses_every_token_costs_one_refresh(live: Live, name: str) -> None:
    monotonic, clock = Clock(0), Clock()
    events: list[ClientEvent] = []
    session = logged_in(live, monotonic=monotonic, clock=clock, on_event=events.append)
    resources = Resources(live, name, session)
    answers = [resources.ask("/api/refuses") for _ in range(50)]
    assert {answer.status_code for answer in answers} == {401}
    assert live.refreshes == 1
    why = [answer.reason if name == "requests" else answer.extensions["tenure"] for answer in answers]
    assert all("accepts no token of this session" in one for one in why)
    assert [event for event in events if event.kind == "token_refused"] == [ClientEvent("token_refused", live.url)]
    assert resources.ask("/api/me").status_code == 200
    for each in (monotonic, clock):
        each.advance(301)  # half of its lifetime
    assert {resources.ask("/api/refuses").status_code for _ in range(10)} == {401}
    assert live.refreshes == 2
    live.expire()
    for each in (monotonic, clock):
        each.advance(601)
    assert resources.ask("/api/me").status_code == 200
    assert live.refreshes == 3


def test_a_resource_that_has_refused_everything_is_believed_when_a_refresh_helps_again(live: Live) -> None:
    clock = Clock()
    session = logged_in(live, clock=clock)
    resources = Resources(live, "httpx2-blocking", session)
    assert resources.ask("/api/refuses").status_code == 401
    clock.advance(301)
    live.expire()
    assert resources.ask("/api/me").status_code == 200
    live.expire()
    assert resources.ask("/api/me").status_code == 200
    assert live.refreshes == 3


def test_retry_after_of_a_resource_is_the_callers(live: Live) -> None:
    session = logged_in(live)

    def busy(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(503, headers={"retry-after": "7"})

    with httpx2.Client(auth=session.auth, transport=httpx2.MockTransport(busy)) as client:
        answer = client.get(f"{live.url}/api/me")
    assert (answer.status_code, answer.headers["retry-after"], live.refreshes) == (503, "7", 0)


def test_an_idle_process_gets_no_401(live: Live, tmp_path: Path) -> None:
    """What it takes from the storage has expired as well."""
    clock = Clock()
    busy = logged_in(live, storage=FileStorage(tmp_path / "session"), clock=clock, monotonic=clock)
    idle = Session(live.base, storage=FileStorage(tmp_path / "session"), clock=clock, monotonic=Clock(0))
    used = idle.token()
    live.expire()
    clock.advance(601)
    busy.renewed(used)
    live.expire()
    clock.advance(601)
    with httpx2.Client(auth=idle.auth) as client:
        assert client.get(f"{live.url}/api/me").status_code == 200
    assert (live.refreshes, live.counts["/api/me"]) == (2, 1)


def test_an_idle_process_whose_clock_is_wrong_gets_no_401(live: Live, tmp_path: Path) -> None:
    busy = logged_in(live, storage=FileStorage(tmp_path / "session"), clock=Clock())
    idle = Session(live.base, storage=FileStorage(tmp_path / "session"), clock=Clock(0), monotonic=Clock(0))
    used = idle.token()
    live.expire()
    busy.renewed(used)
    live.expire()
    with httpx2.Client(auth=idle.auth) as client:
        assert client.get(f"{live.url}/api/me").status_code == 200
    assert (live.refreshes, live.counts["/api/me"]) == (2, 3)  # its own, the other's, and a new one


@pytest.mark.parametrize("name", ["httpx", "httpx2", "requests"])
def test_a_sessions_own_requests_go_through_the_client_that_it_is_given(live: Live, name: str) -> None:
    http = {"httpx": httpx.Client, "httpx2": httpx2.Client, "requests": requests.Session}[name]()
    seen: list[str] = []
    if name == "requests":
        http.hooks["response"].append(lambda answer, **_: seen.append(answer.request.url))
    else:
        http.event_hooks = {"request": [lambda request: seen.append(str(request.url))]}
    session = Session(live.base, http=http)
    http.auth = session.auth  # the very client that the session sends with
    session.login("ada", PASSWORD)
    live.expire()
    assert http.get(f"{live.url}/api/me").status_code == 200
    asyncio.run(session.arefresh())
    session.logout()
    assert [url.rsplit("/", 1)[1] for url in seen if "/auth/" in url] == ["login", "refresh", "refresh", "logout"]
    http.close()


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_an_asyncio_client_sends_them_too(live: Live, module: Any) -> None:
    async def story() -> None:
        async with module.AsyncClient() as http:
            session = Session(live.base, http=http)
            http.auth = session.auth
            await session.alogin("ada", PASSWORD)
            live.expire()
            assert (await http.get(f"{live.url}/api/me")).status_code == 200
            with pytest.raises(ConfigurationError, match=r"atoken\(\), alogin\(\), alogout\(\)"):
                session.refresh()
            assert await session.alogout()

    asyncio.run(story())


def test_a_client_of_ones_own_that_fails_is_a_server_that_is_away() -> None:
    for http in (httpx.Client(), httpx2.Client(), requests.Session()):
        session = Session("http://127.0.0.1:9/auth", http=http, attempts=2)
        session.adopt("a refresh token", "an access token")
        with pytest.raises(RefreshFailed, match="can't be reached"):
            session.refresh()
        http.close()
    with pytest.raises(ConfigurationError, match="A transport goes into one"):
        Session("http://127.0.0.1:9/auth", http=httpx2.HTTPTransport())


@pytest.mark.asvs("10.1.1")
def test_a_refresh_token_follows_no_redirect(live: Live) -> None:
    moved = httpx2.MockTransport(lambda _: httpx2.Response(307, headers={"location": f"{live.base}/refresh"}))
    session = Session("https://api.example.com/auth", http=httpx2.Client(transport=moved, follow_redirects=True))
    session.adopt("a refresh token", "an access token")
    with pytest.raises(RefreshFailed, match="answered 307"):
        session.refresh()
    assert live.refreshes == 0


@pytest.mark.usefixtures("unmeasured")
def test_a_child_process_does_not_use_its_parents_refresh_token(live: Live) -> None:
    """Two holders of one token would be taken for theft. The access token serves both until it expires."""
    session = logged_in(live, storage=MemoryStorage())
    used = session.token()

    def work() -> None:
        assert session.token() == used
        assert outcomes(1, session.refresh) == ["SignedOut"]

    in_child(work)
    assert live.refreshes == 0
    assert session.refresh() != used


@pytest.mark.usefixtures("unmeasured")
def test_a_child_process_with_a_file_goes_on(live: Live, tmp_path: Path) -> None:
    session = logged_in(live, storage=FileStorage(tmp_path / "session"))
    used = session.token()

    def work() -> None:
        assert session.refresh() != used

    in_child(work)
    renewed = kept(tmp_path / "session", live.base)
    assert renewed is not None
    assert session.renewed(used) == renewed.access_token
    assert live.refreshes == 1
