"""Where the Python client keeps credentials: for whom, and what becomes of the session if that fails."""

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked

from tenure.client import ClientEvent, FileStorage, KeyringStorage, Session, SignedOut, StorageFailed
from tests.client.live import PASSWORD, Live, kept

# What the client wrote before storages had names.
UNNAMED = {"refresh_token": "", "access_token": "", "attempt": None}


def old_file(live: Live, path: Path) -> dict[str, Any]:
    pair = live.run(live.auth.login("ada"))
    written = {**UNNAMED, "refresh_token": pair.refresh_token, "access_token": pair.access_token}
    path.write_text(json.dumps(written))
    return written


class Spy:
    """Another server: counts what it is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.http = httpx2.Client(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(f"{request.headers.get('authorization', '')} {request.read().decode()}")
        return httpx2.Response(401, headers={"www-authenticate": "Bearer"})


@pytest.mark.asvs("10.2.2")
def test_another_server_is_handed_nothing(live: Live, tmp_path: Path) -> None:
    path, spy = tmp_path / "session", Spy()
    ours = Session(live.base, storage=FileStorage(path))
    ours.login("ada", PASSWORD)
    theirs = Session("https://api.example.com/auth", storage=FileStorage(path), http=spy.http)
    assert not theirs.signed_in
    spy.http.auth = theirs.auth
    with pytest.raises(SignedOut):
        spy.http.get("https://api.example.com/me")
    theirs.logout()
    assert spy.sent == []
    theirs.adopt("their refresh token", "their access token")
    assert (theirs.token(), ours.signed_in) == ("their access token", True)
    theirs.logout()
    assert Session(live.base, storage=FileStorage(path)).refresh()
    assert live.kinds() == ["logged_in", "refreshed"]


def test_one_file_keeps_several_profiles(live: Live, tmp_path: Path) -> None:
    def session(profile: str) -> Session:
        return Session(live.base, storage=FileStorage(tmp_path / "session"), profile=profile)

    session("work").login("ada", PASSWORD)
    session("home").login("bob", PASSWORD)
    for profile, subject in (("work", "ada"), ("home", "bob")):
        assert live.run(live.auth.verify(session(profile).token())).subject == subject
    assert not session("").signed_in
    session("work").logout()
    assert (session("work").signed_in, session("home").signed_in) == (False, True)


def test_a_file_from_before_storages_had_names_opens(live: Live, tmp_path: Path) -> None:
    path = tmp_path / "session"
    written = old_file(live, path)
    session = Session(live.base, storage=FileStorage(path))
    assert session.signed_in
    live.expire()
    with httpx2.Client(auth=session.auth) as client:
        assert client.get(f"{live.url}/api/me").json()["sub"] == "ada"
    renewed = kept(path, live.base)
    assert renewed is not None
    assert renewed.refresh_token != written["refresh_token"]
    assert FileStorage(path).load("") is None


def test_another_server_is_not_handed_a_file_from_before_either(live: Live, tmp_path: Path) -> None:
    path, spy = tmp_path / "session", Spy()
    written = old_file(live, path)
    theirs = Session("https://api.example.com/auth", storage=FileStorage(path), http=spy.http)
    assert not theirs.signed_in
    theirs.adopt("their refresh token", "their access token")
    assert json.loads(FileStorage(path).load("") or "") == written
    assert Session(live.base, storage=FileStorage(path)).signed_in
    assert spy.sent == []


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_lets_the_session_go_on_in_memory(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path, events = tmp_path / "session", list[ClientEvent]()
    session = Session(live.base, storage=FileStorage(path), on_event=events.append)
    session.login("ada", PASSWORD)
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        used = session.token()
        for _ in range(3):
            live.expire()
            renewed = session.renewed(used)
            assert live.run(live.auth.verify(renewed)).subject == "ada"
            used = renewed
        # What the file held is stale by now, and whoever showed it would be taken for a thief.
        assert not path.exists()
        failed = [event for event in events if event.kind == "storage_failed"]
        assert failed == [ClientEvent("storage_failed", f"{path} can't be written: No space left on device.")]
    session.refresh()
    again = Session(live.base, storage=FileStorage(path))
    assert again.refresh()
    assert "reuse_detected" not in live.kinds()
    assert capfd.readouterr().err == ""


def test_a_disk_that_is_full_for_one_refresh_costs_nothing(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that starts from what the file holds sends the same attempt key: a retry."""
    path = tmp_path / "session"
    session = Session(live.base, storage=FileStorage(path))
    session.login("ada", PASSWORD)
    written = os.fsync
    calls = []

    def full_at_the_second(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 1:
            full()
        written(descriptor)

    monkeypatch.setattr(os, "fsync", full_at_the_second)
    session.refresh()
    monkeypatch.setattr(os, "fsync", written)
    assert Session(live.base, storage=FileStorage(path)).refresh()
    assert live.kinds() == ["logged_in", "refreshed", "retried"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"refresh_tok', "is damaged"),
        ("\x00\x01", "is damaged"),
        ("[1]", "does not hold sessions"),
        ('{"version": 2, "sessions": {}}', "a newer version"),
        ('{"version": 1, "sessions": {"a": 7}}', "does not hold sessions"),
        ('{"some": "settings"}', "does not hold sessions"),
    ],
)
def test_a_file_that_is_no_storage_is_named_and_left_as_it_is(
    live: Live, tmp_path: Path, content: str, why: str
) -> None:
    path, events = tmp_path / "session", list[ClientEvent]()
    path.write_text(content)
    session = Session(live.base, storage=FileStorage(path), on_event=events.append)
    for use in (session.token, session.refresh, session.logout, lambda: session.signed_in):
        with pytest.raises(StorageFailed, match=f"{path} .*{why}"):
            use()
    session.login("ada", PASSWORD)  # goes on in memory
    assert [event.kind for event in events] == ["storage_failed", "signed_in"]
    live.expire()
    with httpx2.Client(auth=session.auth) as client:
        assert client.get(f"{live.url}/api/me").status_code == 200
    assert path.read_text() == content
    assert session.logout()
    assert path.read_text() == content


def test_an_entry_that_is_damaged_is_named(live: Live, tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "session")
    storage.swap(f"{live.base}/refresh", None, '{"refresh_token": 7}')
    with pytest.raises(StorageFailed, match=f"What is kept for {live.base}/refresh is damaged"):
        Session(live.base, storage=storage).token()


def test_a_folder_and_a_place_that_cannot_be(live: Live, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "session"):
        session = Session(live.base, storage=FileStorage(path))
        with pytest.raises(StorageFailed, match=f"{path} can't be read"):
            session.token()
        session.login("ada", PASSWORD)
        assert session.refresh()


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "session")
    FileStorage(tmp_path / "link").swap("a", None, "x")
    assert (tmp_path / "link").is_symlink()
    assert FileStorage(tmp_path / "there" / "session").load("a") == "x"


def test_a_storage_of_ones_own_that_raises(live: Live) -> None:
    class Broken:
        fails = False

        def __init__(self) -> None:
            self.texts: dict[str, str | None] = {}

        def load(self, name: str) -> str | None:
            return self.texts.get(name)

        def swap(self, name: str, expected: str | None, text: str | None) -> bool:
            if self.fails:
                raise RuntimeError("the application's own")
            self.texts[name] = text
            return True

        def try_lock(self, name: str) -> Any:
            if self.fails:
                raise RuntimeError("the application's own")
            return lambda: None

    storage, events = Broken(), list[ClientEvent]()
    session = Session(live.base, storage=storage, on_event=events.append)
    session.login("ada", PASSWORD)
    storage.fails = True
    for _ in range(3):
        session.refresh()
    storage.fails = False
    session.refresh()
    assert Session(live.base, storage=storage).refresh()
    assert [event.kind for event in events].count("storage_failed") == 1
    assert "reuse_detected" not in live.kinds()


class Locked(KeyringBackend):
    priority = 1  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("Failed to unlock the collection!")

    set_password = get_password  # type: ignore[assignment]


@pytest.fixture
def use_keyring() -> Iterator[Callable[[Any], None]]:
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


@pytest.mark.parametrize("backend", [Locked, NoKeyring])
def test_a_keyring_that_is_locked_or_not_there(live: Live, use_keyring: Callable[[Any], None], backend: Any) -> None:
    use_keyring(backend())
    events = list[ClientEvent]()
    session = Session(live.base, storage=KeyringStorage("app", "ada"), on_event=events.append)
    with pytest.raises(StorageFailed, match=r"The keyring can't be read for app: \w+. Unlock it, or use a FileStorage"):
        session.token()
    session.login("ada", PASSWORD)
    assert session.refresh()
    assert [event.kind for event in events] == ["storage_failed", "signed_in", "refreshed"]


# On Windows: what `os` lacks there is lacking for tenure's modules here, and a file that is open can't be replaced.
WINDOWS = """
import os, sys, types
del os.fork, os.register_at_fork
import tenure.client
lacking = {"getuid", "geteuid", "getgid", "fchmod", "fchown", "chown", "setsid", "killpg", "O_NOFOLLOW", "WNOHANG"}
windows = types.SimpleNamespace(**{name: value for name, value in vars(os).items() if name not in lacking})
for name, module in list(sys.modules.items()):
    if name.startswith("tenure") and hasattr(module, "os"):
        module.os = windows
from tenure.client import FileStorage, KeyringStorage, Session
import keyring
from keyring.backend import KeyringBackend
class InMemory(KeyringBackend):
    priority = 1
    kept = {}
    def get_password(self, *name): return self.kept.get(name)
    def set_password(self, service, username, password): self.kept[service, username] = password
    def delete_password(self, *name): del self.kept[name]
keyring.set_keyring(InMemory())
replace, times = os.replace, []
def open_elsewhere(*paths):
    times.append(paths)
    if len(times) % 3:
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")
    replace(*paths)
windows.replace = open_elsewhere
for storage in (FileStorage(sys.argv[2]), KeyringStorage("app", "ada")):
    session = Session(sys.argv[1], storage=storage)
    session.login("ada", sys.argv[3])
    session.refresh()
    assert storage.load(sys.argv[1] + "/refresh")
    session.logout()
print("fine", len(times) > 3)
"""


def test_nothing_is_needed_that_windows_lacks(live: Live, tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", WINDOWS, live.base, str(tmp_path / "session"), PASSWORD],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.stdout, told.stderr) == ("fine True\n", "")
    assert live.kinds() == ["logged_in", "refreshed", "revoked"] * 2


def test_a_file_that_is_never_free_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def used(*_: object) -> None:
        raise PermissionError(errno.EACCES, "used by another process")

    monkeypatch.setattr(os, "replace", used)
    begun = time.monotonic()
    with pytest.raises(StorageFailed, match="used by another process"):
        FileStorage(tmp_path / "session").swap("a", None, "x")
    assert time.monotonic() - begun < 2
    assert not (tmp_path / "session").exists()


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom tenure.client import FileStorage\nstorage = FileStorage(sys.argv[1])\n"
        "for number in range(50):\n    assert storage.swap(f'{sys.argv[2]} {number}', None, 'x')\n"
    )
    path = tmp_path / "session"
    processes = [subprocess.Popen([sys.executable, "-c", script, str(path), str(one)]) for one in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert len(json.loads(path.read_text())["sessions"]) == 200
