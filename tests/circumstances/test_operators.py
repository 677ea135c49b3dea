"""An operator who wants to see, and after an incident to end: on every store."""

import asyncio
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from tenure import ExpiredAccessToken, InvalidRequest, Policy, RevokedAccessToken, SessionEnded, Tenure
from tenure.core import overview
from tests.circumstances.test_lives import store  # noqa: F401 - a fixture
from tests.conftest import AUDIENCE, ISSUER, SECRET, Clock
from tests.service.conftest import Api, make_api, refused  # noqa: F401 - a fixture
from tests.service.process import tenure
from tests.stores.servers import postgres_database


@pytest.fixture
def auth(store: Any, clock: Clock) -> Iterator[Tenure]:  # noqa: F811
    clock.now = 1_800_000_000.25
    made = Tenure(store, secret=SECRET, issuer=ISSUER, audience=AUDIENCE, clock=clock, poll=3600)
    yield made
    made.close()


def test_what_is_there_and_what_has_happened(auth: Tenure, clock: Clock) -> None:
    pairs = []
    for number in range(12):
        pairs.append(auth.login(f"user-{number}", client_id="app" if number % 3 else "web", device=f"Phone {number}"))
        clock.advance(1)
    clock.advance(60)
    newest = auth.refresh(pairs[1].refresh_token, client_id="app")
    auth.refresh(newest.refresh_token, client_id="app")
    with pytest.raises(SessionEnded):
        auth.refresh(pairs[1].refresh_token, client_id="app")
    auth.refresh(pairs[2].refresh_token, client_id="app")
    auth.revoke(pairs[4].session_id)
    found = auth.overview(exact=True)
    assert (found.live, found.estimated, found.by_client) == (10, False, {"web": 4, "app": 6})
    assert (found.logins, found.ended, found.thefts, found.refreshed) == (12, {"reuse_detected": 1, "ended": 1}, 1, 1)
    assert auth.overview(since=clock.now - 1).refreshed == 1
    clock.advance(2 * 86400)
    later = auth.overview()
    assert (later.live, later.logins, later.thefts, later.refreshed) == (10, 0, 0, 0)


def test_the_latest_sessions_come_in_pages(auth: Tenure, clock: Clock) -> None:
    for number in range(25):
        auth.login(f"user-{number}", client_id="app" if number % 5 else "web", device=f"Phone {number % 2}")
        clock.advance(0.5 if number % 2 else 0.0)  # some at one moment
    seen: list[str] = []
    cursor = ""
    while True:
        page = auth.latest(limit=10, cursor=cursor)
        seen += [session.subject for session in page.sessions]
        cursor = page.cursor
        if not cursor:
            break
    assert sorted(seen) == sorted(f"user-{number}" for number in range(25))
    assert seen[0] == "user-24"
    assert {session.client_id for session in auth.latest(client_id="web").sessions} == {"web"}
    assert len(auth.latest(device="Phone 1").sessions) == 12
    for wrong in ("x", "1:2", "1" * 30 + ":" + "0" * 32, "-1:" + "0" * 32):
        with pytest.raises(InvalidRequest, match=r"cursor"):
            auth.latest(cursor=wrong)


@pytest.mark.asvs("7.4.5")
def test_everybody_goes_at_once(auth: Tenure, clock: Clock) -> None:
    pairs = [auth.login(f"user-{number}") for number in range(30)]
    auth.refresh(pairs[0].refresh_token)
    clock.advance(5)
    assert auth.count_where() == 30
    assert auth.revoke_where(by="incident 7") == 30
    assert auth.count_where() == 0
    for pair in pairs:
        with pytest.raises(RevokedAccessToken):
            auth.verify(pair.access_token)
        with pytest.raises(SessionEnded) as ended:
            auth.refresh(pair.refresh_token)
        assert ended.value.reason == "revoked"
    entry = auth.audit("user-3")[0]
    assert (entry.kind, entry.reason, entry.by) == ("revoked", "cutoff", "incident 7")
    clock.advance(1)
    fresh = auth.login("user-0")
    assert auth.verify(fresh.access_token)
    assert auth.verify(auth.refresh(fresh.refresh_token).access_token)
    assert auth.revoke_where(client_id="nobody") == 0


def test_a_cutoff_holds_before_a_single_session_is_ended(auth: Tenure, clock: Clock) -> None:
    """The sweep of ten million takes minutes."""
    pair = auth.login("user-42", client_id="app")
    other = auth.login("user-43", client_id="web")
    clock.advance(5)
    made = auth.run(overview.cut_off(auth.issuer, overview.which_sessions(client_id="app"), "me"))
    with pytest.raises(RevokedAccessToken):
        auth.verify(pair.access_token)
    with pytest.raises(SessionEnded):
        auth.refresh(pair.refresh_token, client_id="app")
    assert auth.verify(auth.refresh(other.refresh_token, client_id="web").access_token)
    clock.advance(1)
    # Broken off, upkeep goes on with it, and forgets it once no access token of before lives.
    left = auth.login("user-44", client_id="app")
    clock.advance(60)
    auth.run(auth._upkeep())
    assert auth.issuer.checker.cutoffs[0].swept
    assert made.name == auth.issuer.checker.cutoffs[0].name
    assert auth.verify(left.access_token)  # began after it
    clock.advance(3600)
    auth.run(auth._upkeep())
    assert auth.issuer.checker.cutoffs == ()


def test_by_device_the_others_only_refresh(auth: Tenure, clock: Clock) -> None:
    stolen, other = auth.login("ada", device="OldPhone 3"), auth.login("bob", device="Laptop")
    clock.advance(5)
    auth.run(overview.cut_off(auth.issuer, overview.which_sessions(device="OldPhone"), "me"))
    for pair in (stolen, other):
        with pytest.raises(ExpiredAccessToken):
            auth.verify(pair.access_token)
    with pytest.raises(SessionEnded):
        auth.refresh(stolen.refresh_token)
    clock.advance(1)
    assert auth.verify(auth.refresh(other.refresh_token).access_token)


def test_by_the_moment_they_began(auth: Tenure, clock: Clock) -> None:
    old = auth.login("ada")
    clock.advance(100)
    moment = datetime.datetime.fromtimestamp(clock.now - 50, datetime.UTC)
    new = auth.login("bob")
    clock.advance(5)
    assert auth.revoke_where(before=moment.timestamp()) == 1
    with pytest.raises(RevokedAccessToken):
        auth.verify(old.access_token)
    assert auth.verify(new.access_token)
    for wrong in (moment, "yesterday", True, -1, float("nan")):
        with pytest.raises(InvalidRequest, match=r"before"):
            auth.revoke_where(before=wrong)  # type: ignore[arg-type]


def test_other_instances_hear_of_a_cutoff(store: Any, clock: Clock) -> None:  # noqa: F811
    settings: dict[str, Any] = {"secret": SECRET, "issuer": ISSUER, "audience": AUDIENCE, "clock": clock, "poll": 3600}
    with Tenure(store, **settings) as one:
        other = Tenure(one.store, **settings)
        pair = one.login("ada")
        clock.advance(5)
        one.revoke_where()
        other.run(other._upkeep())
        with pytest.raises(RevokedAccessToken):
            other.verify(pair.access_token)


def test_verifiers_elsewhere_hear_of_a_cutoff(make_api: Any, clock: Clock) -> None:  # noqa: F811
    from tenure.core.access import Checker, VerifyingKey
    from tenure.core.cutoffs import cutoff_in

    api = make_api()
    pair = api.login()
    clock.advance(5)
    api.run(api.auth.revoke_where())
    told = api.get("/auth/revoked?since=0").json()
    assert told["revoked"] == []
    checker = Checker(api.auth.issuer.url, AUDIENCE, clock)
    checker.use_keys({key.kid: VerifyingKey(key.algorithm, key.jwk) for key in api.auth.issuer.ring.keys})
    assert checker.check(pair["access_token"])
    checker.cutoffs = [cutoff_in(json.dumps(one)) for one in told["cutoffs"]]
    with pytest.raises(RevokedAccessToken):
        checker.check(pair["access_token"])


def test_the_admin_endpoints(make_api: Any, clock: Clock) -> None:  # noqa: F811
    api: Api = make_api()
    for number in range(5):
        api.admin_session(subject=f"user-{number}", device="Phone" if number % 2 else "Laptop")
        clock.advance(1)
    for _ in range(3):
        api.admin_session(subject="user-42")
    found = api.get("/admin/overview", bearer=api.api_key).json()
    assert (found["live"], found["logins"], found["thefts"]) == (8, 8, 0)
    page = api.get("/admin/sessions?limit=3", bearer=api.api_key).json()
    rest = api.get(f"/admin/sessions?limit=10&cursor={page['cursor']}", bearer=api.api_key).json()
    assert (len(page["sessions"]), len(rest["sessions"]), rest.get("cursor")) == (3, 5, None)
    assert rest["sessions"][-1]["subject"] == "user-0"
    own = api.get("/admin/sessions?subject=user-42&limit=2", bearer=api.api_key).json()
    more = api.get(f"/admin/sessions?subject=user-42&limit=2&cursor={own['cursor']}", bearer=api.api_key).json()
    assert (len(own["sessions"]), len(more["sessions"]), more.get("cursor")) == (2, 1, None)
    refused(api.delete("/admin/sessions", bearer=api.api_key), 400, "invalid_request")
    assert api.get("/admin/sessions/count?device=Phone", bearer=api.api_key).json() == {"live": 2}
    clock.advance(1)
    ended = api.delete("/admin/sessions?device=Phone", bearer=api.api_key)
    assert ended.json() == {"ended": 2, "complete": True}
    assert api.delete("/admin/sessions?all=true", bearer=api.api_key).json()["ended"] == 6
    for wrong in ("limit=0", "limit=x", "before=x", "before=nan", "cursor=x", "subject=user-42&cursor=x"):
        refused(api.get(f"/admin/sessions?{wrong}", bearer=api.api_key), 400, "invalid_request")
    for path in ("/admin/overview", "/admin/sessions", "/admin/sessions/count"):
        refused(api.get(path), 401, "invalid_client")


def test_readiness_knows_whether_a_write_would_do(make_api: Any) -> None:  # noqa: F811
    api: Api = make_api()
    assert api.get("/readyz").status_code == 200
    api.get("/admin/overview", bearer=api.api_key)  # the key is known from now on
    api.store._connection.execute("PRAGMA query_only = ON")
    answer = api.get("/readyz")
    refused(answer, 503, "temporarily_unavailable")
    assert "readonly" not in answer.text
    told = refused(api.get("/readyz", bearer=api.api_key), 503, "temporarily_unavailable")
    assert "attempt to write a readonly database" in told
    api.store._connection.execute("PRAGMA query_only = OFF")
    assert api.get("/readyz").status_code == 200


def test_a_thousand_at_a_time_and_others_meanwhile(tmp_path: Path) -> None:
    """Whoever refreshes while many are ended is held up by a step at most, and nothing is left out."""
    from tenure import AsyncTenure

    async def story() -> None:
        policy = Policy(leeway=0)
        settings: dict[str, Any] = {"secret": SECRET, "issuer": ISSUER, "audience": AUDIENCE, "policy": policy}
        async with AsyncTenure(f"sqlite:///{tmp_path}/many.db", **settings) as auth:
            await asyncio.gather(*(auth.login(f"user-{number}", client_id="many") for number in range(3500)))
            token = (await auth.login("ada")).refresh_token
            ending = asyncio.create_task(auth.revoke_where(client_id="many"))
            refreshed = 0
            while not ending.done():
                token = (await auth.refresh(token)).refresh_token
                refreshed += 1
            assert await ending == 3500
            assert refreshed > 5
            assert (await auth.overview(exact=True)).by_client == {"first-party": 1}

    asyncio.run(story())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("{postgres}/no_such_database", 'database "no_such_database" does not exist'),
        ("postgresql://me:hunter2@127.0.0.1:1/x", 'server at "127.0.0.1", port 1 failed'),
        ("valkey://:hunter2@127.0.0.1:1/0", "127.0.0.1:1"),
        ("valkey+cluster://:hunter2@127.0.0.1:1", "127.0.0.1:1"),
        ("postgresql://me:hunter2@127.0.0.1/x?nosuch=1", "not one that PostgreSQL's client understands"),
    ],
)
def test_a_start_that_fails_says_why(tmp_path: Path, url: str, reason: str) -> None:
    place = conninfo_to_dict(postgres_database())["host"]
    store_url = url.format(postgres="postgresql://postgres:hunter2@")
    if "{postgres}" in url:
        store_url += f"?host={place}"
    said = tenure(tmp_path, "serve", "--store", store_url, "--port", "0", "--secret", SECRET)
    assert said.returncode == 1
    assert reason in said.stderr
    assert "hunter2" not in said.stderr + said.stdout
    assert "Traceback" not in said.stderr


def test_the_command_line(tmp_path: Path) -> None:
    where = ("--store", f"sqlite:///{tmp_path}/store.db", "--secret", SECRET)
    with Tenure(where[1], secret=SECRET, issuer=ISSUER, audience=AUDIENCE) as auth:
        for number in range(5):
            auth.login(f"user-{number}", client_id="app" if number else "web", device=f"Phone {number}")
    shown = json.loads(tenure(tmp_path, "sessions", "overview", "--json", *where).stdout)
    assert (shown["live"], shown["logins"], shown["by_client"]) == (5, 5, {"app": 4, "web": 1})
    assert "live" in tenure(tmp_path, "sessions", "overview", *where).stdout
    listed = tenure(tmp_path, "sessions", "list", "--limit", "2", "--client", "app", *where)
    assert "user-4" in listed.stdout
    assert "user-2" not in listed.stdout
    cursor = listed.stderr.split("--cursor ")[1].strip()
    assert "user-2" in tenure(tmp_path, "sessions", "list", "--cursor", cursor, *where).stdout
    refused = tenure(tmp_path, "sessions", "revoke", "--client", "app", *where, stdin="n\n")
    assert refused.returncode == 1
    assert "4 live sessions would be ended" in refused.stderr
    assert tenure(tmp_path, "sessions", "revoke", "--all", "--yes", *where).stdout == "5 sessions were ended.\n"
    assert "5 sessions" not in tenure(tmp_path, "sessions", "revoke", "--all", "--yes", *where).stdout
