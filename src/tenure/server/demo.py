"""The demo: the whole story, played step by step in the terminal, over real HTTP against a real service.

Every response is checked against the story; one that differs ends the demo with an error.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey
from rich.console import Console
from rich.text import Text

from tenure.core.errors import TenureError
from tenure.server.demo_page import ACCOUNT

ACCESS_SECONDS = 15
_START_SECONDS = 20.0
_SECRETS = ("access_token", "refresh_token", "password", "dpop")

Json = dict[str, Any]


class DemoFailed(TenureError):
    """The service did not start, or did not respond as the story says."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the story is played: a service and a terminal."""

    http: httpx2.Client
    console: Console

    def step(self, number: int, title: str, *explanation: str) -> None:
        """Begin a chapter."""
        self.console.print()
        self.console.rule(f"[bold]{number}. {title}", align="left", style="cyan")
        for sentence in explanation:
            self.console.print(sentence, style="italic")

    def send(
        self,
        method: str,
        path: str,
        expected: int,
        *,
        json: Json | None = None,
        access_token: str | None = None,
        attempt: str | None = None,
        lost: bool = False,
        key: ECKey | None = None,
    ) -> Json:
        """Send a request, show it and its response, and check the status. Returns the response's body.

        key: what to prove with the request (DPoP).
        """
        scheme = "Bearer" if key is None else "DPoP"
        headers = {} if access_token is None else {"authorization": f"{scheme} {access_token}"}
        if attempt is not None:
            headers["idempotency-key"] = attempt
        if key is not None:
            headers["dpop"] = self._proof(key, method, path, access_token)
        self._show("→", "green", f"{method} {path}", {**headers, **(json or {})})
        answer = self.http.request(method, path, json=json, headers=headers)
        body: Json = answer.json() if answer.content else {}
        if lost:
            self.console.print(Text(f"  ✗ {answer.status_code} … and the answer is lost on its way", style="yellow"))
        else:
            self._show("←", "blue" if answer.is_success else "red", str(answer.status_code), body)
        if answer.status_code != expected:
            raise DemoFailed(f"{method} {path} was to answer {expected}, but answered {answer.status_code}.")
        return body

    def _proof(self, key: ECKey, method: str, path: str, access_token: str | None) -> str:
        """A proof of `key` for one request, with a nonce of the service (RFC 9449 section 4.2)."""
        nonce = self.http.get("/healthz", headers={"dpop": "which nonce?"}).headers["dpop-nonce"]
        url = str(self.http.base_url.join(path))
        claims: Json = {
            "jti": secrets.token_urlsafe(12),
            "htm": method,
            "htu": url,
            "iat": int(time.time()),
            "nonce": nonce,
        }
        if access_token is not None:
            claims["ath"] = urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).decode().rstrip("=")
        return jwt.encode({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}, claims, key)

    def _show(self, arrow: str, style: str, head: str, fields: Mapping[str, Any]) -> None:
        self.console.print(Text(f"  {arrow} {head}", style=f"bold {style}"))
        for name, value in fields.items():
            for line in value if isinstance(value, list) else [value]:
                self.console.print(Text(f"      {name}: {shortened(name, line)}", style="dim"), soft_wrap=True)


def shortened(name: str, value: Any) -> str:
    """A field for display: of a secret, only the ends."""
    text = str(value)
    if name == "authorization":
        scheme, _, token = text.partition(" ")
        return f"{scheme} {shortened('access_token', token)}"
    if name == "password":
        return "…"
    return f"{text[:10]}…{text[-4:]}" if name in _SECRETS else text


def play(data: str | None, port: int | None, *, keep: bool) -> None:
    """Start a service on fresh data (or in the directory `data`), play the story, and stop it again unless `keep`.

    Raises DemoFailed if anything differs from the story.
    """
    console = Console(highlight=False)
    folder = Path(data) if data else Path(tempfile.mkdtemp(prefix="tenure-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _service(folder, port or _free_port()) as (process, url):
            password = httpx2.get(f"{url}/auth/demo/account").json()["password"]
            console.print(f"tenure serves [bold]{url}[/], with its data in {folder}", soft_wrap=True)
            console.print(f"user name [bold]{ACCOUNT}[/], password [bold]{password}[/]")
            with httpx2.Client(base_url=url) as http:
                tell(Stage(http, console), password)
            if keep:
                _stay(console, process, url, password)
    finally:
        if data is None:
            shutil.rmtree(folder)


def tell(stage: Stage, password: str) -> None:
    """The story."""
    stage.step(1, "Log in on two devices", "Each login is a session of its own: a short-lived token and a long-lived.")
    laptop = _log_in(stage, password, "laptop")
    phone = _log_in(stage, password, "phone")

    stage.step(2, "Call the API", "The access token goes with every request. Checking it asks no database.")
    stage.send("GET", "/auth/me", 200, access_token=laptop["access_token"])

    stage.step(3, f"The access token expires, after {ACCESS_SECONDS} seconds")
    with stage.console.status("waiting for it …"):
        time.sleep(laptop["expires_in"] + 0.5)
    stage.send("GET", "/auth/me", 401, access_token=laptop["access_token"])

    stage.step(4, "Refresh, and repeat the request", "A client does this by itself; the person notices nothing.")
    stolen = laptop["refresh_token"]
    laptop = _refresh(stage, stolen)
    stage.send("GET", "/auth/me", 200, access_token=laptop["access_token"])

    stage.step(
        5,
        "An answer is lost, and the retry is believed",
        "The client sends the same attempt key with each try of one refresh. That tells a retry from a theft.",
    )
    attempt = secrets.token_urlsafe(18)
    _refresh(stage, laptop["refresh_token"], attempt=attempt, lost=True)
    laptop = _refresh(stage, laptop["refresh_token"], attempt=attempt)

    stage.step(6, "A thief replays a refresh token that was used before", "Two holders exist: the whole family ends.")
    stage.send("POST", "/auth/refresh", 400, json={"refresh_token": stolen})
    stage.console.print("The owner's newest tokens are dead, too. A fresh login is needed:", style="italic")
    stage.send("GET", "/auth/me", 401, access_token=laptop["access_token"])
    stage.send("POST", "/auth/refresh", 400, json={"refresh_token": laptop["refresh_token"]})
    laptop = _log_in(stage, password, "laptop")
    stage.console.print("The other device never noticed:", style="italic")
    phone = _refresh(stage, phone["refresh_token"])

    stage.step(7, "End a session from the list", "Its access token stops working before it expires.")
    stage.send("GET", "/auth/me", 200, access_token=phone["access_token"])
    stage.send("GET", "/auth/sessions", 200, access_token=laptop["access_token"])
    stage.send("DELETE", f"/auth/sessions/{phone['session_id']}", 204, access_token=laptop["access_token"])
    stage.send("GET", "/auth/me", 401, access_token=phone["access_token"])

    stage.step(
        8,
        "A thief copies all of a session that is bound to a key",
        "This login proves a key that never leaves the device (DPoP). Each request carries a proof of its own.",
    )
    key = ECKey.generate_key("P-256")
    bound = _log_in(stage, password, "laptop", key=key)
    stage.send("GET", "/auth/me", 200, access_token=bound["access_token"], key=key)
    stage.console.print("Neither token is worth anything without the key:", style="italic")
    stage.send("GET", "/auth/me", 401, access_token=bound["access_token"])
    with stage.http.stream("GET", "/auth/demo/events") as events:
        stage.send("POST", "/auth/refresh", 400, json={"refresh_token": bound["refresh_token"]})
        stage.console.print("The owner can be told that somebody has a copy, and stays logged in:", style="italic")
        told = next(line for line in events.iter_lines() if "stolen_token_refused" in line)
    stage.console.print(Text(f"  ✉ {told.removeprefix('data: ')}", style="yellow"), soft_wrap=True)
    _refresh(stage, bound["refresh_token"], key=key)
    stage.console.print()
    stage.console.print("That was the whole story.", style="bold")


def _log_in(stage: Stage, password: str, device: str, key: ECKey | None = None) -> Json:
    body = {"username": ACCOUNT, "password": password, "device": device}
    return stage.send("POST", "/auth/login", 200, json=body, key=key)


def _refresh(
    stage: Stage, token: str, *, attempt: str | None = None, lost: bool = False, key: ECKey | None = None
) -> Json:
    body = {"refresh_token": token}
    return stage.send("POST", "/auth/refresh", 200, json=body, attempt=attempt, lost=lost, key=key)


@contextlib.contextmanager
def _service(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    settings = {"STORE": f"sqlite:///{folder / 'tenure.db'}", "PORT": str(port), "ACCESS_TTL": str(ACCESS_SECONDS)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_")}
    # No leeway, so that a theft shows at the owner's next refresh, however soon; retries have attempt keys.
    settings |= {"DEMO": "true", "LOG_LEVEL": "warning", "LEEWAY": "0"}
    environment |= {f"TENURE_{name}": value for name, value in settings.items()}
    process = subprocess.Popen([sys.executable, "-m", "tenure", "serve"], env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(process, url)
        yield process, url
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise DemoFailed("The service did not start.")


def _stay(console: Console, process: subprocess.Popen[bytes], url: str, password: str) -> None:
    login = f'{{"username": "{ACCOUNT}", "password": "{password}"}}'
    console.print(f"\nThe server goes on until Ctrl-C. Open {url} in a browser to see it happen there,")
    console.print("or log in with:")
    console.print(f"curl -s {url}/auth/login -H 'content-type: application/json' -d '{login}'", soft_wrap=True)
    with contextlib.suppress(KeyboardInterrupt):
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
