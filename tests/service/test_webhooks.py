"""Another service is told of thefts and of sessions that ended: signed, and tried again."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tenure import ConfigurationError, Event
from tenure.server.webhooks import Webhooks
from tests.service.process import PASSWORD, service, tenure

SECRET = "a-secret-that-two-services-share"


class Receiver:
    """Keeps what it is told; refuses as long as `refuse` is positive."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.refuse, self.asked = 0, 0
        self.arrived = threading.Semaphore(0)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.asked += 1
                outer.refuse -= 1
                accepted = outer.refuse < 0
                if accepted:  # before the response, after which the next message may come, in another thread
                    outer.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(204 if accepted else 503)
                self.end_headers()
                if accepted:
                    outer.arrived.release()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def take(self) -> dict[str, Any]:
        """The next message, once its signature is checked."""
        assert self.arrived.acquire(timeout=20)
        headers, body = self.told.pop(0)
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        return dict(json.loads(body))

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_a_theft_is_told(receiver: Receiver, tmp_path: Path) -> None:
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    with service(tmp_path, webhook_url=receiver.url, webhook_secret=SECRET) as url:
        tokens = [httpx2.post(f"{url}/auth/login", json={"username": "ada", "password": PASSWORD}).json()]
        for _ in range(2):
            used = {"refresh_token": tokens[-1]["refresh_token"]}
            tokens.append(httpx2.post(f"{url}/auth/refresh", json=used).json())
        httpx2.post(f"{url}/auth/refresh", json={"refresh_token": tokens[0]["refresh_token"]})
        theft, ended = receiver.take(), receiver.take()
    assert (theft["type"], ended["type"]) == ("session.reuse_detected", "session.revoked")
    assert theft["data"]["session_id"] == tokens[0]["session_id"]
    assert theft["data"]["subject"] == "ada"
    assert ended["data"]["reason"] == "reuse_detected"
    assert "tnr1_" not in json.dumps([theft, ended])


def event(kind: Any = "revoked") -> Event:
    return Event(kind, 1_800_000_000.5, "00" * 16, "ada", reason="ended", by="owner")


def test_what_fails_is_tried_again(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenure.server.webhooks.FIRST_PAUSE_SECONDS", 0.0)
    receiver.refuse = 3
    hooks = Webhooks(receiver.url, SECRET, lambda count: bytes(count))
    hooks.tell(event())
    assert receiver.take()["data"]["reason"] == "ended"
    assert receiver.asked == 4
    hooks.tell(event("refreshed"))  # is not told
    hooks.tell(event("reuse_detected"))
    assert receiver.take()["type"] == "session.reuse_detected"
    hooks.close()


def test_what_is_given_up_is_logged_and_the_next_one_is_sent(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenure.server.webhooks.FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("tenure.server.webhooks.TRIES", 2)
    receiver.refuse = 2
    hooks = Webhooks(receiver.url, SECRET, lambda count: bytes(count))
    hooks.tell(event())
    hooks.tell(event("reuse_detected"))
    assert receiver.take()["type"] == "session.reuse_detected"
    hooks.close()
    assert "could not be delivered: revoked of session 0000" in caplog.text


def test_a_full_queue_drops_and_says_so(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenure.server.webhooks.MAX_WAITING", 1)
    receiver.refuse = 10**6
    hooks = Webhooks(receiver.url, SECRET, lambda count: bytes(count))
    for _ in range(3):
        hooks.tell(event())
    assert "too many webhooks" in caplog.text
    receiver.refuse = 0
    hooks.close()


@pytest.mark.parametrize(
    ("url", "secret", "said"),
    [
        ("http://example.com/", SECRET, "https"),
        ("ftp://127.0.0.1/", SECRET, "https"),
        ("https://x.example", "short", "24"),
    ],
)
def test_what_makes_no_sense_is_refused(url: str, secret: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Webhooks(url, secret, lambda count: bytes(count))
