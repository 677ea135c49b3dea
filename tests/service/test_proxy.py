"""deploy/Caddyfile in a real Caddy: two instances behind it, and an API that only those reach whom tenure knows."""

import contextlib
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.conftest import SECRET
from tests.service.process import PASSWORD, environment, free_port, tenure, wait_until_ready

CADDYFILE = Path(__file__).parent.parent.parent / "deploy" / "Caddyfile"


@contextlib.contextmanager
def api() -> Iterator[int]:
    """Answers with the headers that it was asked with."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({name.lower(): value for name, value in self.headers.items()}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server.server_port
        server.shutdown()


@contextlib.contextmanager
def running(command: list[str], folder: Path, settings: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=settings, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, list["subprocess.Popen[bytes]"]]]:
    """The proxy's address, and the instances behind it."""
    caddy = shutil.which("caddy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert caddy is not None
    url, ports = f"http://127.0.0.1:{free_port()}", [free_port(), free_port()]
    settings = environment(
        store=f"sqlite:///{tmp_path}/tenure.db", secret=SECRET, issuer=url, trusted_proxies="127.0.0.1"
    )
    place = {"store": settings["TENURE_STORE"], "secret": SECRET}
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n", **place)
    with contextlib.ExitStack() as started:
        instances = []
        for port in ports:
            command = [sys.executable, "-m", "tenure", "serve", "--port", str(port)]
            instances.append(started.enter_context(running(command, tmp_path, settings)))
            wait_until_ready(instances[-1], f"http://127.0.0.1:{port}", tmp_path / "log")
        places = {
            "SITE": url,
            "INSTANCES": " ".join(f"127.0.0.1:{port}" for port in ports),
            "API": f"127.0.0.1:{started.enter_context(api())}",
            "XDG_DATA_HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path),
        }
        command = [caddy, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
        proxy = started.enter_context(running(command, tmp_path, {**os.environ, **places}))
        wait_until_ready(proxy, url, tmp_path / "log")
        yield url, instances


def test_only_those_whom_tenure_knows_reach_the_api(site: tuple[str, list["subprocess.Popen[bytes]"]]) -> None:
    url, _ = site
    pair = httpx2.post(f"{url}/auth/login", json={"username": "ada", "password": PASSWORD}).json()
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    seen = httpx2.get(
        f"{url}/api/notes", headers={**bearer, "X-Auth-Subject": "mallory", "X-Auth-Role": "admin"}
    ).json()
    assert seen["x-auth-subject"] == "ada"
    assert seen["x-auth-session"] == pair["session_id"]
    assert "x-auth-role" not in seen
    refused = httpx2.get(f"{url}/api/notes", headers={"X-Auth-Subject": "mallory"})
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert httpx2.post(f"{url}/auth/logout", json={"refresh_token": pair["refresh_token"]}).status_code == 204
    for _ in range(100):  # the instance that did not end it hears of it within a second
        answers = {httpx2.get(f"{url}/api/notes", headers=bearer).status_code for _ in range(4)}
        if answers == {401}:
            break
        time.sleep(0.05)
    assert answers == {401}


def test_people_do_not_notice_that_an_instance_is_gone(site: tuple[str, list["subprocess.Popen[bytes]"]]) -> None:
    url, instances = site
    pair = httpx2.post(f"{url}/auth/login", json={"username": "ada", "password": PASSWORD}).json()
    statuses = []
    for number in range(30):
        if number == 10:
            instances[0].kill()
        key = {"Idempotency-Key": f"attempt-key-{number:08d}"}
        while True:  # as each client of ours does
            answer = httpx2.post(f"{url}/auth/refresh", json={"refresh_token": pair["refresh_token"]}, headers=key)
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                pair = answer.json()
                break
            assert answer.status_code in (502, 503)
    assert statuses.count(200) == 30
    assert len(statuses) < 60
