"""The operators' console: a real service with one and with two workers, and its pages in a real Chromium."""

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.testclient import TestClient

from tenure import ConfigurationError, SessionEnded, Tenure
from tenure.core.events import Event
from tenure.http.clients import add_api_key
from tenure.server.console.app import console_app
from tenure.server.console.channel import Channel, Teller
from tenure.server.console.history import Day, Observed
from tenure.server.console.operators import Operators
from tests.client.browser import node
from tests.conftest import AUDIENCE, SECRET, Clock
from tests.service.process import free_port, service, tenure
from tests.stores.servers import postgres_database, valkey_database

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass
class Operator:
    """A service, and an operator at its console."""

    url: str
    api_key: str
    http: httpx2.Client

    def log_in(self) -> httpx2.Response:
        return self.post("/login", api_key=self.api_key)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.http.get(path, headers=headers)

    def post(self, path: str, **fields: str) -> httpx2.Response:
        origin = {"Origin": str(self.http.base_url).rstrip("/")}
        return self.http.post(path, data=fields or {"": ""}, headers=origin)

    def session(self, subject: str, device: str = FIREFOX) -> dict[str, str]:
        body = {"subject": subject, "device": device, "address": "203.0.113.7"}
        key = {"Authorization": f"Bearer {self.api_key}"}
        return httpx2.post(f"{self.url}/admin/sessions", json=body, headers=key).json()

    def refresh(self, token: str) -> httpx2.Response:
        return httpx2.post(f"{self.url}/auth/refresh", json={"refresh_token": token})


def operator(folder: Path, *flags: str) -> Iterator[Operator]:
    key = tenure(folder, "api-keys", "add", "ops").stdout.strip()
    port = free_port()
    with (
        service(folder, "--console-port", str(port), *flags) as url,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=False) as http,
    ):
        yield Operator(url, key, http)


@pytest.fixture(scope="module", params=["1", "2"])
def console(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    yield from operator(tmp_path_factory.mktemp("console"), "--workers", request.param)


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    flags = ("--console-read-only", "--console-header", "X-Forwarded-User")
    yield from operator(tmp_path_factory.mktemp("read-only"), *flags)


def eventually(operator: Operator, path: str, wanted: str) -> str:
    for _ in range(150):
        page = operator.get(path).text
        if re.search(wanted, page, re.S):
            return page
        time.sleep(0.1)
    raise AssertionError(f"{wanted} is not in {page}")


def test_an_api_key_lets_one_in(console: Operator) -> None:
    for path in ("/", "/keys", "/person?subject=ada"):
        answer = console.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert console.get("/events").status_code == 401
    refused = console.post("/login", api_key="tnk1_wrong")
    assert refused.status_code == 401
    assert "There is no such API key" in refused.text
    assert "tnk1_wrong" not in refused.text
    answer = console.log_in()
    assert answer.headers["location"] == "/"
    assert re.search("; HttpOnly; SameSite=Strict$", answer.headers["set-cookie"])
    assert "ops" in console.get("/").text
    assert console.post("/logout").headers["location"] == "/login"
    assert console.get("/").status_code == 303
    console.log_in()


def test_pages_elsewhere_reach_nothing(console: Operator) -> None:
    console.log_in()
    assert console.get("/", Host="evil.example").status_code == 403
    assert console.get("/events", Host="evil.example").status_code == 401
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        answer = console.http.post("/end-all", data={"subject": "ada"}, headers={"Origin": origin})
        assert answer.status_code == 403
    assert console.http.post("/end-all", data={"subject": "ada"}).status_code == 403
    policy = console.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert console.get("/").headers["cache-control"] == "no-store"


def test_a_person_their_sessions_and_their_end(console: Operator) -> None:
    console.log_in()
    subject = "ada & <b>co</b>"
    kept, ended = console.session(subject), console.session(subject, "<i>phone</i>")
    page = console.http.get("/person", params={"subject": subject}).text
    assert "2 live sessions" in page
    assert "Firefox on Windows" in page
    assert "&lt;i&gt;phone" in page
    assert "<i>phone" not in page
    answer = console.post("/end", subject=subject, session=ended["session_id"])
    assert answer.status_code == 303
    page = console.get(answer.headers["location"]).text
    assert "1 live session<" in page
    assert "console:ops" in page
    assert console.refresh(ended["refresh_token"]).status_code == 400
    assert console.refresh(kept["refresh_token"]).status_code == 200
    console.post("/end-all", subject=subject)
    assert console.refresh(kept["refresh_token"]).status_code == 400
    assert "Nobody of this name is logged in" in console.http.get("/person", params={"subject": "nobody"}).text


def test_what_happens_is_shown(console: Operator) -> None:
    console.log_in()
    first = console.session("bob")
    second = console.refresh(first["refresh_token"]).json()
    console.refresh(second["refresh_token"])
    console.refresh(first["refresh_token"])
    page = eventually(console, "/", "reuse detected</b> <a")
    assert re.search(r"<dt>thefts in the last day</dt><dd>[1-9]", page)
    assert "bob" in page
    eventually(console, "/", r"Refreshes, by the minute: [0-9 ]*[1-9]")
    console.session("bob")
    page = console.get("/").text
    assert re.search(r"Live sessions, by the minute: [0-9 ]*[1-9]", page)
    assert re.search(r"Logins, by the hour: [0-9 ]*[1-9]", page)
    assert re.search(r"Thefts, by the hour: [0-9 ]*[1-9]", page)
    assert re.search(r"Ends by the hour, reuse_detected: [0-9 ]*[1-9]", page)


def test_events_arrive_as_they_happen(console: Operator) -> None:
    console.log_in()
    with console.http.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        made = console.session("carol")
        event = json.loads(next(line for line in lines if "carol" in line).removeprefix("data: "))
        assert (event["kind"], event["subject"], event["session_id"]) == ("logged_in", "carol", made["session_id"])
        console.post("/end-all", subject="carol")
        event = json.loads(next(line for line in lines if "carol" in line).removeprefix("data: "))
        assert (event["kind"], event["by"]) == ("revoked", "console:ops")


def test_keys_are_rotated(console: Operator) -> None:
    console.log_in()
    jwks = f"{console.url}/.well-known/jwks.json"
    before = {key["kid"] for key in httpx2.get(jwks).json()["keys"]}
    console.post("/keys/rotate")
    page = console.get("/keys").text
    assert "published" in page
    console.post("/keys/rotate", at_once="on")
    kids = set(re.findall(r"<td><code>(\w+)</code>", console.get("/keys").text))
    assert len(kids) == 1
    assert not kids & before


def test_clients_and_api_keys(console: Operator) -> None:
    console.log_in()
    answer = console.post("/clients/add", client_id="reports", scope="read", lifetime="browser")
    secret = re.search("<code>([A-Za-z0-9_-]{43})</code>", answer.text)
    assert secret is not None
    assert answer.headers["cache-control"] == "no-store"
    assert "There is a client reports already" in console.post("/clients/add", client_id="reports").text
    assert console.post("/clients/add", client_id="no lifetime", lifetime="x").status_code == 400
    assert "which has no secret" in console.post("/clients/add", client_id="app", public="on").text
    page = console.get("/keys").text
    assert "reports" in page
    assert secret[1] not in page
    console.post("/clients/remove", client_id="reports")
    console.post("/clients/remove", client_id="app")
    assert "reports" not in console.get("/keys").text
    made = re.search("tnk1_[A-Za-z0-9_-]{43}", console.post("/api-keys/add", name="second").text)
    assert made is not None
    console.http.cookies.clear()
    console.post("/login", api_key=made[0])
    assert console.get("/").status_code == 200
    console.post("/api-keys/remove", name="second")
    assert console.get("/").status_code == 303  # whose key is gone is out


def test_nothing_secret_is_in_it(console: Operator) -> None:
    console.log_in()
    pair = console.session("dave")
    pages = "".join(console.get(path).text for path in ("/", "/keys", "/person?subject=dave"))
    for secret in (pair["access_token"], pair["refresh_token"], console.api_key, "secret_hash", "tnr1_", "tnk1_"):
        assert secret not in pages


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/end", {}, 400),
        ("/end", {"subject": "ada", "session": "x" * 33}, 400),
        ("/end-all", {"subject": ""}, 400),
        ("/clients/add", {"client_id": "not a name"}, 400),
        ("/api-keys/add", {"name": "ops"}, 400),
        ("/login", {}, 400),
    ],
)
def test_bad_forms_are_told_what_is_wrong(console: Operator, path: str, fields: dict[str, str], status: int) -> None:
    console.log_in()
    answer = console.post(path, **fields)
    assert answer.status_code == status
    assert "That was not done" in answer.text
    assert console.get("/person").status_code == 400
    assert console.get(f"/person?subject={'x' * 300}").status_code == 400
    assert console.get("/?cursor=x").status_code == 400
    assert console.get("/nothing").status_code == 404


def test_the_proxy_names_the_operator_and_the_console_changes_nothing(read_only: Operator) -> None:
    named = {"X-Forwarded-User": "olga@example.com"}
    refused = read_only.get("/")
    assert refused.status_code == 401
    assert "names nobody" in refused.text
    page = read_only.get("/", **named).text
    assert "olga@example.com · read-only" in page
    read_only.session("ada")
    for path in ("/person?subject=ada", "/keys"):
        page = read_only.get(path, **named).text
        assert page.count('method="post"') == 1  # to log out
    origin = {"Origin": str(read_only.http.base_url).rstrip("/")}
    for path in ("/end-all", "/keys/rotate", "/clients/add", "/api-keys/add", "/end"):
        answer = read_only.http.post(path, data={"subject": "ada"}, headers={**named, **origin})
        assert answer.status_code == 403
        assert "read-only" in answer.text


def test_in_chromium(console: Operator) -> None:
    stolen = console.session("erin")
    second = console.refresh(stolen["refresh_token"]).json()
    console.refresh(second["refresh_token"])
    console.refresh(stolen["refresh_token"])
    console.session("erin", "x" * 300)
    console.log_in()
    for subject in ("erin again", "s" * 200):  # every list has something long in it
        console.session(subject)
        console.post("/end-all", subject=subject)
    logged_out = console.session("w" * 100)
    httpx2.post(f"{console.url}/auth/logout", json={"refresh_token": logged_out["refresh_token"]})
    console.session("W" * 100)
    told = node(
        "--test", "--test-reporter=tap", "console.test.mjs",
        URL=console.url, CONSOLE=str(console.http.base_url), KEY=console.api_key,
    )  # fmt: skip
    assert re.search(r"^# fail 0$", told, re.M)
    assert re.search(r"^# pass 6$", told, re.M)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--store", "memory://", "--secret", "x" * 32], "a store that it can share"),
        (["--console-host", "0.0.0.0"], "Put your own proxy before it"),
        (["--console-origin", "http://ops.example.com"], "Put your own proxy before it"),
        (["--console-origin", "ops"], "origin"),
    ],
)
def test_what_can_not_work_is_refused_at_the_start(tmp_path: Path, flags: list[str], why: str) -> None:
    refused = tenure(tmp_path, "serve", "--console-port", str(free_port()), *flags)
    assert refused.returncode == 1
    assert why in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = tenure(tmp_path, "serve", "--port", str(free_port()), "--console-port", str(port))
    assert refused.returncode == 1
    assert f"console_port {port} on 127.0.0.1 can't be listened on" in refused.stderr


@pytest.mark.parametrize("url", [postgres_database, valkey_database])
def test_on_other_stores(url: Callable[[], str]) -> None:
    arguments: dict[str, Any] = {"store": url(), "secret": SECRET, "issuer": "https://a.example", "audience": AUDIENCE}
    own = "http://127.0.0.1:9"
    with Tenure(**arguments) as auth, closing(Channel()) as channel:
        key = auth.run(add_api_key("ops", os.urandom))
        stolen = auth.login("ada")
        auth.refresh(auth.refresh(stolen.refresh_token).refresh_token)
        with pytest.raises(SessionEnded):
            auth.refresh(stolen.refresh_token)
        auth.login("ada")
        app = console_app(arguments, channel, CollectorRegistry(), origin=own, header=None, read_only=False)
        with TestClient(app, base_url=own, headers={"Origin": own}) as http:
            page = http.post("/login", data={"api_key": key}).text
            assert re.findall("<dd>(.*?)</dd>", page) == ["1", "0", "2", "1"]
            assert re.search("Thefts, by the hour: [0 ]*1 ", page)
            http.post("/end-all", data={"subject": "ada"})
            assert "Nobody of this name is logged in" in http.get("/person?subject=ada").text
        assert auth.sessions("ada") == ()


def test_https_gives_the_cookie_to_this_host_alone(clock: Clock) -> None:
    operators = Operators("https://ops.example.com", None, clock)
    assert operators._set("x", 1) == "__Host-tenure-console=x; Path=/; Max-Age=1; HttpOnly; SameSite=Strict; Secure"
    with pytest.raises(ConfigurationError, match="https"):
        Operators("http://ops.example.com", None, clock)


def test_an_hour_that_is_over_is_counted_once(clock: Clock) -> None:
    with Tenure("memory://", secret=SECRET, issuer="https://a.example", audience=AUDIENCE, clock=clock) as auth:
        day = Day()
        clock.advance(1)
        for hour in range(30):
            for _ in range(hour % 3):
                auth.login("ada")
            if hour == 28:
                auth.revoke_all("ada", reason="reuse_detected")
            auth.run(day.count(auth.issuer))
            clock.advance(3600)
        auth.run(day.count(auth.issuer))
        late = Day()
        auth.run(late.count(auth.issuer))
    values = [bar.value for bar in day.bars("logged_in")]
    assert values == [hour % 3 for hour in range(7, 30)] + [0]
    assert late.bars("logged_in") == day.bars("logged_in")
    ended = sum(hour % 3 for hour in range(29))
    assert day.reasons()["reuse_detected"] == ended
    assert [bar.value for bar in day.bars("revoked", "reuse_detected")] == [0] * 21 + [ended, 0, 0]


def test_minutes_are_what_was_counted_in_them() -> None:
    registry = CollectorRegistry()
    events = Counter("tenure_events", "", ["kind", "reason", "bound"], registry=registry)
    events.labels("refreshed", "", "").inc(1000)  # before the console began
    observed = Observed(registry)
    observed.sample(0)
    events.labels("refreshed", "", "").inc(3)
    events.labels("refreshed", "", "key").inc(2)
    observed.sample(30)
    observed.sample(65)
    events.labels("refreshed", "", "").inc(7)
    observed.sample(70)
    assert [(bar.at, bar.value) for bar in observed.bars("refreshed")] == [(0, 5), (60, 7)]
    for minute in range(100):
        observed.sample(60.0 * minute)
        observed.live(60.0 * minute, minute)
        observed.live(60.0 * minute + 30, minute + 1)
    assert len(observed.bars("refreshed")) == 60
    assert [bar.value for bar in observed.live_bars] == list(range(41, 101))


def test_a_worker_never_waits_for_the_console() -> None:
    channel = Channel()
    teller = Teller(channel.path)
    begun = time.perf_counter()
    for _ in range(20_000):  # nobody reads them
        teller.tell(Event("logged_in", 0.0, subject="ada"))
    Path(channel.path).unlink()
    teller.tell(Event("logged_in", 0.0, subject="ada"))  # nobody is there
    assert time.perf_counter() - begun < 10
    channel.close()
    teller.close()
