"""A service in this process, with a clock under the test's control, spoken to through its ASGI interface."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher

from tenure import AsyncTenure, Event, Policy
from tenure.core.calls import Call
from tenure.http.clients import add_api_key, add_client
from tenure.http.cookies import CookieTransport
from tenure.http.rate_limits import RateLimits
from tenure.http.service import Service
from tenure.integrations.asgi import application
from tenure.server.accounts import Accounts
from tenure.stores.sqlite.store import SqliteStore
from tests.conftest import AUDIENCE, SECRET, Clock

PASSWORD = "correct horse battery"
ORIGIN = "https://app.example.com"
FAST_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

Answer = httpx2.Response


class CountingStore(SqliteStore):
    """SQLite that remembers what it was asked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[Call[Any]] = []

    def run(self, call: Call[Any]) -> Any:
        self.asked.append(call)
        return super().run(call)

    async def arun(self, call: Call[Any]) -> Any:
        self.asked.append(call)
        return await super().arun(call)


class Api:
    """One service and its callers. `ada` has an account; there are an API key, a public and a confidential client."""

    def __init__(self, folder: Path, clock: Clock, **details: Any) -> None:
        self.clock, self.events = clock, list[Event]()
        self.runner = asyncio.Runner()
        self.store = CountingStore(folder / "service.db")
        self.auth = AsyncTenure(
            self.store,
            secret=SECRET,
            issuer=ORIGIN,
            audience=AUDIENCE,
            policy=details.pop("policy", Policy()),
            clock=clock,
            on_event=self.events.append,
            poll=3600,
        )
        self.accounts = Accounts(self.store, FAST_HASHER)
        self.accounts.add("ada", PASSWORD)
        self.throttle = RateLimits()
        cookies = details.pop("cookies", CookieTransport(ORIGIN, allowed_origins=frozenset(["https://other.example"])))
        authenticator = details.pop("authenticator", self.accounts)
        self.service = Service(self.auth.issuer, authenticator, self.throttle, cookies, **details)
        self.app = application(self.auth, self.service)
        # What an application raises is seen by its server; here, by nobody, so that the answer is what is tested.
        transport = httpx2.ASGITransport(self.app, raise_app_exceptions=False, client=("192.0.2.7", 4711))
        self.http = httpx2.AsyncClient(transport=transport, base_url=ORIGIN)
        self.api_key = self.run(self.auth.run(add_api_key("backend", os.urandom)))
        self.client_secret = self.run(self.auth.run(add_client("confidential", os.urandom, public=False)))
        self.run(self.auth.run(add_client("public", os.urandom, public=True)))

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def request(self, method: str, path: str, **details: Any) -> Answer:
        headers = dict(details.pop("headers", {}))
        if "bearer" in details:
            headers["Authorization"] = f"Bearer {details.pop('bearer')}"
        self.http.cookies.clear()
        return self.run(self.http.request(method, path, headers=headers, **details))

    def get(self, path: str, **details: Any) -> Answer:
        return self.request("GET", path, **details)

    def post(self, path: str, **details: Any) -> Answer:
        return self.request("POST", path, **details)

    def delete(self, path: str, **details: Any) -> Answer:
        return self.request("DELETE", path, **details)

    def login(self, **more: Any) -> dict[str, Any]:
        answer = self.post("/auth/login", json={"username": "ada", "password": PASSWORD, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refresh(self, token: str, **details: Any) -> Answer:
        return self.post("/auth/refresh", json={"refresh_token": token}, **details)

    def admin_session(self, **body: Any) -> dict[str, Any]:
        answer = self.post("/admin/sessions", json={"subject": "user-42", **body}, bearer=self.api_key)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def close(self) -> None:
        self.run(self.http.aclose())
        self.run(self.auth.close())
        self.runner.close()


@pytest.fixture
def make_api(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Api]]:
    made: list[Api] = []

    def make(**details: Any) -> Api:
        made.append(Api(tmp_path, clock, **details))
        return made[-1]

    yield make
    for api in made:
        api.close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


def refused(answer: Answer, status: int, error: str, reason: str | None = None) -> str:
    """Assert that `answer` is this refusal, in the form of all refusals; answers its description."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["error"] == error
    if reason is not None or not error.endswith("_proof"):  # why a proof is refused has tests of its own
        assert body.get("reason") == reason
    assert body["error_description"].endswith((".", ")", "…"))
    return body["error_description"]
