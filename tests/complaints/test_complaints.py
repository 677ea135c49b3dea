"""What people complain of elsewhere, each as a test against the real service, named after where it was reported."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tenure import Policy
from tenure.client import Credentials, FileStorage, RefreshFailed, Session, SignedOut
from tenure.client.record import Record
from tests.client.browser import node
from tests.client.live import PASSWORD, Live, instead, kept, late, lose

KEY = "attempt-key-of-one-refresh"


def login(live: Live, **more: Any) -> dict[str, Any]:
    answer = httpx2.post(f"{live.base}/login", json={"username": "ada", "password": PASSWORD, **more})
    return answer.raise_for_status().json()


def refresh(live: Live, token: str, key: str | None = None, **how: Any) -> httpx2.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return httpx2.post(f"{live.base}/refresh", json={"refresh_token": token}, headers=headers, **how)


# A process that uses a stored session: calls the API `sys.argv[3]` times, each time told to by a line on its input.
PROCESS = """
import sys, httpx2
from tenure.client import FileStorage, Session, SignedOut
session = Session(sys.argv[1] + "/auth", storage=FileStorage(sys.argv[2]))
client = httpx2.Client(auth=session.auth, timeout=30)
print("ready", flush=True)
for line in sys.stdin:
    try:
        print(client.get(sys.argv[1] + "/api/me").status_code, flush=True)
    except SignedOut as ended:
        print("signed out:", ended.reason, flush=True)
"""


class Process:
    def __init__(self, live: Live, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, live.url, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.hears() == "ready"

    def call(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def hears(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


def stored(live: Live, path: Path) -> Session:
    session = Session(live.base, storage=FileStorage(path))
    session.login("ada", PASSWORD)
    return session


def test_01_a_response_lost_after_the_commit_and_retried_an_hour_later(live: Live) -> None:
    """zitadel#9631, matrix-authentication-service#2795, hydra#1831; with the leeway at zero"""
    pair = login(live)
    live.faults.append(lose)
    with pytest.raises(httpx2.RemoteProtocolError):
        refresh(live, pair["refresh_token"], KEY)
    live.clock.advance(3600)
    again = refresh(live, pair["refresh_token"], KEY)
    assert again.status_code == 200
    assert refresh(live, again.json()["refresh_token"], KEY + "-2").status_code == 200


def test_02_twelve_parallel_requests_at_expiry(make_live: Callable[..., Live]) -> None:
    """nocturne#326: the same token twelve times, by a client that knows nothing of attempt keys"""
    live = make_live(policy=Policy())
    pair = login(live)
    live.expire()

    async def twelve() -> list[httpx2.Response]:
        async with httpx2.AsyncClient() as http:
            body = {"refresh_token": pair["refresh_token"]}
            return await asyncio.gather(*[http.post(f"{live.base}/refresh", json=body) for _ in range(12)])

    answers = asyncio.run(twelve())
    assert [answer.status_code for answer in answers] == [200] * 12
    assert refresh(live, answers[7].json()["refresh_token"]).status_code == 200
    assert "reuse_detected" not in live.kinds()
    assert len(live.run(live.auth.sessions("ada"))) == 1


def test_03_five_processes_on_one_stored_token(live: Live, tmp_path: Path) -> None:
    """claude-code#84440, #74250: at expiry, again and again; one refresh each time, and nobody is logged out"""
    stored(live, tmp_path / "session")
    processes = [Process(live, tmp_path / "session") for _ in range(5)]
    for round_ in range(1, 6):
        live.expire()
        for process in processes:
            process.call()
        assert [process.hears() for process in processes] == ["200"] * 5
        assert live.refreshes == round_
    for process in processes:
        process.end()


def test_04_a_process_killed_between_the_commit_and_its_own_write(live: Live, tmp_path: Path) -> None:
    """claude-code#93537: the next one carries on"""
    path = tmp_path / "session"
    stored(live, path)
    live.expire()
    live.faults.append(late(30))
    doomed = Process(live, path)
    doomed.call()
    while "refreshed" not in live.kinds():
        time.sleep(0.01)  # until the server has committed
    doomed.process.send_signal(signal.SIGKILL)
    doomed.end()
    begun = kept(path, live.base)
    assert begun is not None
    assert begun.attempt is not None  # written before it was sent
    successor = Process(live, path)
    successor.call()
    assert successor.hears() == "200"
    successor.end()
    assert live.kinds()[-1] == "retried"


def test_05_a_slow_answer_after_the_clients_own_deadline(live: Live) -> None:
    """kcap-cli#946: retried a minute later"""
    pair = login(live)
    live.faults.append(late(1))
    with pytest.raises(httpx2.ReadTimeout):
        refresh(live, pair["refresh_token"], KEY, timeout=0.2)
    live.clock.advance(60)
    assert refresh(live, pair["refresh_token"], KEY).status_code == 200


def test_06_a_losing_process_never_wipes_the_winners_token(live: Live, tmp_path: Path) -> None:
    """claude-code#84440: it is refused, and finds that the storage holds another token by now"""
    path = tmp_path / "session"
    loser = stored(live, path)
    storage, name = FileStorage(path), f"{live.base}/refresh"
    winners = Record(Credentials("the winner's refresh token", "the winner's access token")).to_text()

    async def refused(app: Any, scope: Any, receive: Any, send: Any) -> None:
        assert storage.swap(name, storage.load(name), winners)
        await instead(400, b'{"error": "invalid_grant", "reason": "reuse_detected"}')(app, scope, receive, send)

    live.faults.append(refused)
    assert loser.renewed(loser.token()) == "the winner's access token"
    assert storage.load(name) == winners


def test_07_three_tabs_and_short_lived_access_tokens(live: Live) -> None:
    """supabase/supabase#8959, auth-js#213: ten minutes of simulated use, in a real browser"""
    told = node("--test", "--test-reporter=tap", "--test-name-pattern=^three tabs", "browser.test.mjs", URL=live.url)
    assert re.search(r"^# pass 1$", told, re.M)
    assert "reuse_detected" not in live.kinds()
    assert live.kinds().count("refreshed") >= 10


def test_08_stepping_through_the_leeway_for_ever_with_a_stolen_token(make_live: Callable[..., Live]) -> None:
    """supabase/auth#1901, django-oauth-toolkit#1617: found within one refresh of the owner"""
    live = make_live(policy=Policy(leeway=30))
    owner = login(live)["refresh_token"]
    thief = owner
    for _ in range(10):  # the thief refreshes every 20 seconds, always within the leeway
        thief = refresh(live, thief).json()["refresh_token"]
        live.clock.advance(20)
    answer = refresh(live, owner)
    assert answer.json()["reason"] == "reuse_detected"
    assert refresh(live, thief).json()["reason"] == "reuse_detected"


def test_09_a_token_several_generations_old_inside_the_leeway(make_live: Callable[..., Live]) -> None:
    """django-oauth-toolkit#1617"""
    live = make_live(policy=Policy(leeway=30))
    first = login(live)["refresh_token"]
    token = first
    for _ in range(3):
        token = refresh(live, token).json()["refresh_token"]
    assert refresh(live, first).json()["reason"] == "reuse_detected"


@pytest.mark.parametrize(
    "fault", [instead(500), instead(502), instead(429), late(1)], ids=["500", "502", "429", "late"]
)
def test_10_a_refresh_that_fails_does_not_clear_the_credentials(live: Live, tmp_path: Path, fault: Any) -> None:
    session = stored(live, tmp_path / "session")
    session._driver._sender._timeout = 0.1
    live.expire()
    live.faults += [fault] * 5
    with httpx2.Client(auth=session.auth) as client:
        with pytest.raises(RefreshFailed):
            client.get(f"{live.url}/api/me")
        assert session.signed_in
        session._driver._sender._timeout = 10
        session.refresh()
        assert client.get(f"{live.url}/api/me").status_code == 200


def test_11_logging_out_on_one_device_leaves_the_others_alone(live: Live, tmp_path: Path) -> None:
    """supabase/auth#248"""
    phone, laptop = stored(live, tmp_path / "phone"), stored(live, tmp_path / "laptop")
    phone.logout()
    live.expire()
    assert laptop.renewed(laptop.token())
    with pytest.raises(SignedOut):
        phone.token()


def test_12_a_lock_holder_that_dies_does_not_block_the_others(live: Live, tmp_path: Path) -> None:
    path = tmp_path / "session"
    session = stored(live, path)
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; from tenure.client import FileStorage\n"
         "release = FileStorage(sys.argv[1]).try_lock(sys.argv[2]); print('held', flush=True); time.sleep(60)",
         str(path), f"{live.base}/refresh"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    begun = time.monotonic()
    assert session.renewed(session.token())
    assert time.monotonic() - begun < 3


def test_12_a_lock_holder_that_freezes_does_not_block_the_others(live: Live, tmp_path: Path) -> None:
    """It is passed by after five seconds; when it thaws, its late answer does not undo what the others have got."""
    path = tmp_path / "session"
    session = stored(live, path)
    live.expire()
    live.faults.append(late(2))
    frozen = Process(live, path)
    frozen.call()
    while "refreshed" not in live.kinds():
        time.sleep(0.01)
    os.kill(frozen.process.pid, signal.SIGSTOP)
    begun = time.monotonic()
    first = session.renewed(session.token())
    assert time.monotonic() - begun < 8
    newest = kept(path, live.base)
    os.kill(frozen.process.pid, signal.SIGCONT)
    assert frozen.hears() == "200"
    frozen.end()
    assert kept(path, live.base) == newest
    assert session.renewed(first)
    assert "reuse_detected" not in live.kinds()


def test_threads_and_tasks_of_one_process_share_one_refresh(live: Live, tmp_path: Path) -> None:
    """Blocking and asyncio callers of one session at the same time."""
    session = stored(live, tmp_path / "session")
    live.expire()
    used, got = session.token(), set[str]()
    threads = [threading.Thread(target=lambda: got.add(session.renewed(used))) for _ in range(4)]

    async def tasks() -> None:
        got.update(await asyncio.gather(*[session.arenewed(used) for _ in range(4)]))

    for thread in threads:
        thread.start()
    asyncio.run(tasks())
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert live.refreshes == 1
