"""Several instances on one store: one is killed, and their clocks differ."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from tenure import AsyncTenure, SessionEnded, StoreUnavailable, TokenPair
from tests.conftest import AUDIENCE, ISSUER, SECRET
from tests.faults.crowd import Crowd, Refresh, deployment
from tests.service.process import environment, free_port, wait_until_ready
from tests.stores.servers import Postgres, Valkey, postgres_database, valkey_cluster, valkey_database

STORES = {"postgres": postgres_database, "valkey": valkey_database, "valkey-cluster": valkey_cluster}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("leeway", [0.0, 30.0])
def test_clocks_that_are_five_minutes_apart(store: str, leeway: float) -> None:
    """Each refresh may meet the other clock: nobody is logged out, every theft is found."""

    async def story() -> None:
        url = STORES[store]()
        async with deployment(url, leeway=leeway) as one, deployment(url, ahead=300.0, leeway=leeway) as other:
            crowd = Crowd.of(one, other)
            await crowd.log_in(one)
            crowd.start()
            await crowd.progress(5)
            crowd.steal()
            await crowd.progress(5)
            await crowd.stop()
            await crowd.check(one.store)
            await crowd.check(other.store)

    asyncio.run(story())


class Instance:
    """`tenure serve` in a process of its own."""

    def __init__(self, folder: Path, store: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        log = folder / f"{port}.log"
        settings = environment(store=store, secret=SECRET, issuer=ISSUER, audience=AUDIENCE, log_level="warning")
        with log.open("w") as output:
            command = [sys.executable, "-m", "tenure", "serve", "--port", str(port)]
            self.process = subprocess.Popen(command, cwd=folder, env=settings, stdout=output, stderr=output)
        wait_until_ready(self.process, self.url, log)

    def end(self, how: Callable[["subprocess.Popen[bytes]"], None]) -> None:
        how(self.process)
        self.process.wait(30)


@asynccontextmanager
async def through(*instances: Instance) -> AsyncIterator[Refresh]:
    """Refreshes over HTTP, as a load balancer has it: each goes to the next instance, though that may be gone."""
    async with httpx2.AsyncClient(timeout=10) as client:
        turn = 0

        async def refresh(token: str, attempt: str | None) -> TokenPair:
            nonlocal turn
            turn += 1
            headers = {} if attempt is None else {"idempotency-key": attempt}
            url = f"{instances[turn % len(instances)].url}/auth/refresh"
            try:
                answer = await client.post(url, json={"refresh_token": token}, headers=headers)
            except httpx2.TransportError:
                raise StoreUnavailable from None
            body = answer.json()
            if answer.status_code == 503:
                assert answer.headers["retry-after"]
                raise StoreUnavailable
            if answer.status_code != 200:
                raise SessionEnded(body["reason"])
            return TokenPair(
                body["access_token"], body["expires_in"], body["refresh_token"], 0, body["session_id"], "", ""
            )

        yield refresh


@pytest.mark.parametrize("store", ["postgres", "valkey"])
def test_one_of_two_instances_is_killed(store: str, tmp_path: Path) -> None:
    async def story() -> None:
        url = STORES[store]()
        instances = [Instance(tmp_path, url), Instance(tmp_path, url)]
        async with (
            AsyncTenure(url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE) as auth,
            through(*instances) as refresh,
        ):
            crowd = Crowd([refresh])
            await crowd.log_in(auth)
            crowd.start()
            await crowd.progress(3)
            crowd.steal()
            instances[0].end(subprocess.Popen.kill)
            await crowd.progress(5)
            await crowd.stop()
            assert sum(holder.unavailable for holder in crowd.holders) > 0
            await crowd.check(auth.store)
            assert not crowd.logged_out(careful=False)  # within the leeway
        instances[1].end(subprocess.Popen.terminate)

    asyncio.run(story())


def test_a_store_that_is_away_is_told_of_and_comes_back(tmp_path: Path) -> None:
    """503 with Retry-After and a readiness that says so; and nothing to be done when it returns."""
    for server, url in ((postgres := Postgres(), postgres.url()), (valkey := Valkey(), valkey.url)):
        instance = Instance(tmp_path, url)
        server.kill()
        assert httpx2.get(instance.url + "/healthz").status_code == 200
        answer = httpx2.get(instance.url + "/readyz")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"] == "temporarily_unavailable"
        server.start()
        for _ in range(100):
            if httpx2.get(instance.url + "/readyz").status_code == 200:
                break
        else:
            raise AssertionError("the service does not come back")
        instance.end(subprocess.Popen.terminate)
        server.close()
