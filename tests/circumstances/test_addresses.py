"""Where it stands: below a path, beside others, from other origins, with other people's cookies."""

import hashlib
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tenure import AsyncTenure, ConfigurationError, Tenure
from tenure.core.calls import DeleteRecord
from tenure.core.keys import DerivedKeys
from tenure.core.origins import allowed_origin, other_sites
from tenure.core.tokens import first_token, seal
from tenure.http.cookies import CookieTransport
from tenure.http.marks import companion_of
from tenure.http.service import Service
from tenure.server.settings import Settings
from tests.conftest import AUDIENCE, SECRET
from tests.service.conftest import ORIGIN, PASSWORD, Api, make_api, refused  # noqa: F401 - a fixture

COOKIE = "__Secure-tenure-refresh"
LOGIN = {"username": "ada", "password": PASSWORD, "transport": "cookie"}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def companion(path: str = "/auth") -> str:
    return f"__Host-tenure-session-{hashlib.sha256(path.encode()).hexdigest()[:8]}"


def named(session_id: str) -> str:
    return companion_of(session_id, DerivedKeys.of(SECRET).mark)


def cookies_in(answer: Any) -> dict[str, str]:
    return dict(header.partition(";")[0].split("=", 1) for header in answer.headers.get_list("set-cookie"))


def paths_in(answer: Any) -> dict[str, str]:
    headers = answer.headers.get_list("set-cookie")
    return {header.partition("=")[0]: header.partition("Path=")[2].partition(";")[0] for header in headers}


def browser(answer: Any) -> dict[str, str]:
    """What a browser sends after this answer."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies_in(answer).items()), **SAME_ORIGIN}


Make = Callable[..., Api]


def test_a_mount_is_in_the_cookies_path_and_the_metadata(make_api: Make) -> None:  # noqa: F811
    from starlette.applications import Starlette
    from starlette.routing import Mount

    api = make_api()
    outer = Starlette(routes=[Mount("/api", api.app)])
    api.http._transport.app = outer  # type: ignore[attr-defined]
    answer = api.post("/api/auth/login", json=LOGIN)
    assert paths_in(answer) == {
        COOKIE: "/api/auth",
        companion("/api/auth"): "/",
        "__Secure-tenure-device": "/api/auth",
    }
    answer = api.post("/api/auth/refresh", headers=browser(answer))
    assert answer.status_code == 200
    answer = api.post("/api/auth/logout", headers=browser(answer))
    assert paths_in(answer)[COOKIE] == "/api/auth"
    document = api.get("/api/.well-known/oauth-authorization-server").json()
    assert document["token_endpoint"] == f"{ORIGIN}/api/oauth/token"
    answer = api.get("/api/auth/continue?to=/api/page", headers={"Sec-Fetch-Mode": "navigate"})
    assert "url=/api/auth/continue?to=" in answer.text


@pytest.mark.parametrize("path", ["/base/auth/login", "/auth/login"])
def test_a_proxy_that_keeps_or_takes_away_the_issuers_path(make_api: Make, path: str) -> None:  # noqa: F811
    from tenure.integrations.asgi import application

    api = make_api()
    api.http._transport.app = application(api.auth, api.service, root_path="/base")  # type: ignore[attr-defined]
    answer = api.post(path, json=LOGIN)
    assert paths_in(answer)[COOKIE] == "/base/auth"
    assert api.post(path.replace("login", "refresh"), headers=browser(answer)).status_code == 200


def test_the_endpoints_have_a_prefix_of_their_own(make_api: Make) -> None:  # noqa: F811
    from tenure.integrations.asgi import application

    api = make_api()
    service = Service(api.auth.issuer, api.accounts, api.throttle, CookieTransport(ORIGIN), prefix="/session/v1")
    api.http._transport.app = application(api.auth, service)  # type: ignore[attr-defined]
    answer = api.post("/session/v1/login", json=LOGIN)
    assert paths_in(answer)[COOKIE] == "/session/v1"
    assert api.post("/session/v1/refresh", headers=browser(answer)).status_code == 200
    assert api.post("/auth/login", json=LOGIN).status_code == 404
    assert api.get("/openapi.json").json()["paths"].keys() >= {"/session/v1/login", "/oauth/token"}


def test_a_cookies_path_can_be_told(make_api: Make) -> None:  # noqa: F811
    api = make_api(cookies=CookieTransport(ORIGIN, path="/rewritten/auth"))
    answer = api.post("/auth/login", json=LOGIN)
    assert paths_in(answer)[COOKIE] == "/rewritten/auth"
    answer = api.get("/auth/continue?to=/page", headers={"Sec-Fetch-Mode": "navigate"})
    assert "url=/rewritten/auth/continue?to=" in answer.text


def test_the_module_finds_its_endpoints_where_it_comes_from(make_api: Make) -> None:  # noqa: F811
    text = make_api().get("/auth/tenure.js").text
    assert "base = new URL('.', import.meta.url).href" in text
    assert "base = '/auth'" not in text


@pytest.mark.parametrize("path", ["auth", "/", "/auth/", "/a b", "/a;b", "/ä", ""])
def test_paths_that_can_not_be(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is a path like /auth"):
        CookieTransport(ORIGIN, path=path)
    with pytest.raises(ConfigurationError, match=r"is a path like /auth"):
        Settings(prefix=path).root_path()


@pytest.mark.parametrize(
    ("origin", "meant"),
    [
        ("app.example.org", "https://app.example.org meant"),
        ("*", "named"),
        ("https://*.example.org", "one address"),
        ("https://app.example.org/path", "https://app.example.org meant"),
        ("https://app.example.org?x=1", "https://app.example.org meant"),
        ("https://me@app.example.org", "https://"),
        ("https://", "one address"),
        ("https://app.example.org:port", "no address"),
    ],
)
def test_origins_that_can_never_match_are_refused(origin: str, meant: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        CookieTransport(ORIGIN, allowed_origins=frozenset([origin]))
    assert meant in str(refusal.value)
    with pytest.raises(ConfigurationError):
        Settings(issuer=ORIGIN, allowed_origins=[origin]).cookie_transport()


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("https://app.example.org", "https://app.example.org"),
        ("https://APP.example.org/", "https://app.example.org"),
        ("https://app.example.org:443", "https://app.example.org"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_origins_are_spelled_as_browsers_do(given: str, known: str) -> None:
    assert allowed_origin(given) == known


def test_pages_of_another_site_are_told_of_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    allowed = frozenset(["https://app.example.org", "https://www.example.co.uk", "https://example.org"])
    assert other_sites("https://api.example.org", allowed) == ["https://www.example.co.uk"]
    # Registrable domains come from the Public Suffix List: these two are neighbours, not one site.
    assert other_sites("https://one.github.io", frozenset(["https://two.github.io"])) == ["https://two.github.io"]
    assert other_sites("http://127.0.0.1:8000", frozenset(["http://127.0.0.1:3000"])) == []
    from tenure.integrations.embedded import warn_of_other_sites

    with caplog.at_level(logging.WARNING):
        warn_of_other_sites(CookieTransport("https://api.example.net", allowed_origins=allowed))
    assert "https://app.example.org is another site than https://api.example.net" in caplog.text


def test_a_page_of_another_origin_can_read_why_it_was_refused(make_api: Make) -> None:  # noqa: F811
    answer = make_api().get("/auth/me", headers={"Origin": "https://other.example"})
    assert answer.status_code == 401
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert exposed == {"www-authenticate", "retry-after", "dpop-nonce"}


@pytest.mark.parametrize(
    "path", ["/auth/me", "/healthz", "/auth/tenure.js", "/nothing", "/.well-known/jwks.json", "/auth/continue"]
)
def test_nobody_guesses_a_type(make_api: Make, path: str) -> None:  # noqa: F811
    assert make_api().get(path).headers["x-content-type-options"] == "nosniff"


def test_pages_are_framed_by_nobody(make_api: Make) -> None:  # noqa: F811
    answer = make_api().get("/auth/continue", headers={"Sec-Fetch-Mode": "navigate"})
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "same-origin"


# Two cookies of one name.


def test_a_twin_is_no_theft_and_is_cleared(make_api: Make) -> None:  # noqa: F811
    """Of one session, the newest is right; the others of its name go."""
    api = make_api()
    first = api.post("/auth/login", json=LOGIN)
    old = cookies_in(first)[COOKIE]
    second = api.post("/auth/refresh", headers=browser(first))
    third = api.post("/auth/refresh", headers=browser(second))
    sid = third.json()["session_id"]
    for order in ((cookies_in(third)[COOKIE], old), (old, cookies_in(third)[COOKIE])):
        headers = {"Cookie": f"{COOKIE}={order[0]}; {COOKIE}={order[1]}; {companion()}={named(sid)}", **SAME_ORIGIN}
        third = api.post("/auth/refresh", headers=headers)
        assert third.status_code == 200
        cleared = [header for header in third.headers.get_list("set-cookie") if header.startswith(f"{COOKIE}=;")]
        assert f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure" in cleared
        assert any("Domain=example.com" in header for header in cleared)
        kept = [header for header in third.headers.get_list("set-cookie") if header.startswith(f"{COOKIE}=tnr1_")]
        assert third.headers.get_list("set-cookie").index(kept[0]) > 0  # after what is cleared
    assert [event.kind for event in api.events if event.kind == "reuse_detected"] == []


def test_junk_beside_is_passed_over(make_api: Make) -> None:  # noqa: F811
    api = make_api()
    answer = api.post("/auth/login", json=LOGIN)
    junk = seal(first_token(bytes(16), bytes(16), bytes(16)), bytes(32))  # of another deployment
    for extra in (junk, "rubbish", "tnr1_"):
        headers = browser(answer)
        headers["Cookie"] = f"{COOKIE}={extra}; " + headers["Cookie"] + f"; {COOKIE}={extra}"
        answer = api.post("/auth/refresh", headers=headers)
        assert answer.status_code == 200


def test_a_tossed_cookie_signs_nobody_in(make_api: Make) -> None:  # noqa: F811
    """A neighbouring subdomain sets the attacker's own genuine token, before or beside the person's own."""
    api = make_api()
    attacker = api.login()
    tossed = attacker["refresh_token"]
    answer = api.post("/auth/refresh", headers={"Cookie": f"{COOKIE}={tossed}", **SAME_ORIGIN})
    refused(answer, 400, "invalid_request")
    person = api.post("/auth/login", json=LOGIN)
    headers = browser(person)
    headers["Cookie"] = f"{COOKIE}={tossed}; " + headers["Cookie"]
    answer = api.post("/auth/refresh", headers=headers)
    assert answer.json()["session_id"] == person.json()["session_id"]
    only_tossed = {"Cookie": f"{COOKIE}={tossed}; {companion()}={named(person.json()['session_id'])}", **SAME_ORIGIN}
    refused(api.post("/auth/refresh", headers=only_tossed), 400, "invalid_request")
    assert api.refresh(tossed).status_code == 200  # it was presented to nobody
    api.post("/auth/logout", headers=only_tossed)
    assert len(api.run(api.auth.sessions("ada"))) == 2  # nor was its session ended


def test_sessions_of_before_go_on(make_api: Make) -> None:  # noqa: F811
    """Whoever logged in under a version without companions has none, and is given one."""
    api = make_api()
    pair = api.login()
    api.auth.issuer.companions_since = api.auth.issuer.now() + 60
    answer = api.post("/auth/refresh", headers={"Cookie": f"{COOKIE}={pair['refresh_token']}", **SAME_ORIGIN})
    assert answer.status_code == 200
    assert cookies_in(answer)[companion()] == named(pair["session_id"])


def test_only_a_deployment_that_was_there_before_takes_sessions_without(tmp_path: Any) -> None:
    settings: dict[str, Any] = {"secret": SECRET, "issuer": ORIGIN, "audience": AUDIENCE, "poll": 3600}
    with Tenure(f"sqlite:///{tmp_path}/new.db", **settings) as auth:
        assert auth.issuer.companions_since == 0
        auth.store.run(DeleteRecord("deployment", "companions_since"))
    with Tenure(f"sqlite:///{tmp_path}/new.db", **settings) as auth:
        assert auth.issuer.companions_since > auth.issuer.now()
        since = auth.issuer.companions_since
    with Tenure(f"sqlite:///{tmp_path}/new.db", **settings) as auth:
        assert auth.issuer.companions_since == since


@pytest.mark.asvs("7.2.4")
def test_who_logs_in_again_leaves_no_session_behind(make_api: Make) -> None:  # noqa: F811
    api = make_api()
    first = api.post("/auth/login", json=LOGIN)
    second = api.post("/auth/login", json=LOGIN, headers=browser(first))
    (session,) = api.run(api.auth.sessions("ada"))
    assert session.id == second.json()["session_id"]
    ended = [entry for entry in api.run(api.auth.audit("ada")) if entry.kind == "revoked"]
    assert [(entry.session_id, entry.reason) for entry in ended] == [(first.json()["session_id"], "replaced")]


def test_at_the_limit_a_browsers_own_session_makes_room(make_api: Make) -> None:  # noqa: F811
    from tenure import Policy

    api = make_api(policy=Policy(max_sessions=1, at_limit="refuse_login"))
    first = api.post("/auth/login", json=LOGIN)
    refused(api.post("/auth/login", json=LOGIN), 400, "invalid_grant")
    assert api.post("/auth/login", json=LOGIN, headers=browser(first)).status_code == 200


def test_a_replaced_session_that_can_not_be_ended_costs_nobody_the_login(make_api: Make) -> None:  # noqa: F811
    from tenure import StoreUnavailable
    from tenure.core.calls import Revoke

    api = make_api()
    first = api.post("/auth/login", json=LOGIN)
    run = api.store.arun

    async def failing(call: Any) -> Any:
        if isinstance(call, Revoke):
            raise StoreUnavailable
        return await run(call)

    api.store.arun = failing  # type: ignore[method-assign]
    assert api.post("/auth/login", json=LOGIN, headers=browser(first)).status_code == 200


def test_a_companion_that_somebody_made_up_ends_nothing(make_api: Make) -> None:  # noqa: F811
    """Session ids are no secret."""
    api = make_api()
    victim = api.login()
    forged = {"Cookie": f"{companion()}={victim['session_id']}.{'0' * 32}", **SAME_ORIGIN}
    assert api.post("/auth/login", json=LOGIN, headers=forged).status_code == 200
    assert len(api.run(api.auth.sessions("ada"))) == 2


# Guesses.


def test_a_stranger_who_knows_a_name_keeps_its_owner_out_of_nothing(make_api: Make) -> None:  # noqa: F811
    api = make_api()
    owner = browser(api.post("/auth/login", json=LOGIN))
    home = api.http._transport.client  # type: ignore[attr-defined]
    statuses = []
    for number in range(140):
        api.http._transport.client = (f"198.51.100.{number}", 1)  # type: ignore[attr-defined]
        wrong = api.post("/auth/login", json={"username": ["ada", "ADA", " ada"][number % 3], "password": "wrong"})
        statuses.append(wrong.status_code)
    assert statuses[:99] == [400] * 99  # the owner's own was the first of the hundred
    assert statuses[99:] == [429] * 41
    # From anywhere, with the browser that has signed in before; and, without it, from where the owner has been.
    assert api.post("/auth/login", json=LOGIN, headers=owner).status_code == 200
    api.http._transport.client = ("203.0.113.250", 1)  # type: ignore[attr-defined]
    assert api.post("/auth/login", json=LOGIN).status_code == 429
    api.http._transport.client = home  # type: ignore[attr-defined]
    assert api.post("/auth/login", json=LOGIN).status_code == 200
    # A mark is good for its own account only, and is not a licence to guess.
    api.http._transport.client = ("198.51.100.200", 1)  # type: ignore[attr-defined]
    guesses = [
        api.post("/auth/login", json={**LOGIN, "password": "wrong"}, headers=owner).status_code for _ in range(21)
    ]
    assert guesses == [400] * 20 + [429]
    api.accounts.add("bob", PASSWORD)
    for number in range(100):
        api.http._transport.client = (f"203.0.113.{number}", 1)  # type: ignore[attr-defined]
        api.post("/auth/login", json={"username": "bob", "password": "wrong"})
    assert api.post("/auth/login", json={**LOGIN, "username": "bob"}, headers=owner).status_code == 429


def test_a_crowd_behind_one_address_does_not_keep_out_whom_it_knows(make_api: Make) -> None:  # noqa: F811
    api = make_api()
    owner = browser(api.post("/auth/login", json=LOGIN))
    for number in range(310):
        api.post("/auth/login", json={"username": f"user-{number}", "password": "wrong"})
    assert api.post("/auth/login", json={"username": "new", "password": "wrong"}).status_code == 429
    assert api.post("/auth/login", json=LOGIN, headers=owner).status_code == 200


def test_sign_ins_are_counted_together_in_a_shared_store() -> None:
    from tenure.http.rate_limits import RateLimits
    from tests.stores.servers import valkey_database

    url = valkey_database()
    one, other = RateLimits(url), RateLimits(url)
    answers = [(one, other)[number % 2].sign_in("ada", "192.0.2.1") for number in range(21)]
    assert answers[:20] == [None] * 20
    assert answers[20] is not None
    assert RateLimits().sign_in("ada", "192.0.2.1") is None


def test_while_the_shared_store_is_away_each_counts_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    from tenure.http.rate_limits import RateLimits

    limits = RateLimits("valkey://127.0.0.1:1/0")
    answers = [limits.sign_in("ada", "192.0.2.1") for _ in range(21)]
    assert answers[:20] == [None] * 20
    assert answers[20] is not None
    assert "can't be reached" in caplog.text


@pytest.mark.parametrize("url", ["", "memory://", "postgresql://x", "valkey", "valkeys+cluster://x"])
def test_rate_limit_stores_that_can_not_be(url: str) -> None:
    from tenure.http.rate_limits import RateLimits

    with pytest.raises(ConfigurationError, match=r"rate_limit_store"):
        RateLimits(url)


def test_an_ipv4_address_in_an_ipv6_socket_is_a_network_of_its_own() -> None:
    from tenure.http.rate_limits import network_of

    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("::ffff:192.0.2.1") != network_of("::ffff:198.51.100.1")


# Blocking code around asyncio.


def test_a_blocking_tenure_in_fastapi(tmp_path: Any) -> None:
    from fastapi import FastAPI, Request
    from fastapi.testclient import TestClient

    from tenure.integrations.fastapi import CurrentUser, Sessions, add_sessions

    auth = Tenure(f"sqlite:///{tmp_path}/store.db", secret=SECRET, issuer="http://127.0.0.1:8000", audience=AUDIENCE)

    def people(username: str, password: str) -> str | None:
        return username if password == PASSWORD else None

    sessions = Sessions(auth, authenticator=people)
    app = FastAPI(lifespan=sessions.lifespan)
    add_sessions(app, sessions)

    @app.post("/enter")
    def enter(request: Request) -> Any:
        return sessions.answer(auth.login("user-42"), request)

    @app.get("/me")
    def me(user: CurrentUser) -> str:
        return user

    for _ in range(2):  # a test client for each module: started again, in another event loop
        with TestClient(app, base_url="http://127.0.0.1:8000") as client:
            pair = client.post("/enter").json()
            assert client.get("/me", headers={"Authorization": f"Bearer {pair['access_token']}"}).json() == "user-42"
            assert client.post("/auth/refresh").status_code == 200
            login = client.post("/auth/login", json={"username": "ada", "password": PASSWORD})
            assert login.status_code == 200
            again = client.post("/enter").json()
            assert [one.id for one in auth.sessions("user-42")] == [again["session_id"]]  # the first was replaced
            auth.revoke_all("user-42")


def test_an_application_is_started_again_in_one_process(tmp_path: Any) -> None:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from tenure.integrations.fastapi import Sessions, add_sessions

    auth = AsyncTenure(f"sqlite:///{tmp_path}/s.db", secret=SECRET, issuer="http://127.0.0.1:8000", audience=AUDIENCE)

    async def people(username: str, password: str) -> str | None:
        return username if password == PASSWORD else None

    sessions = Sessions(auth, authenticator=people)
    app = FastAPI(lifespan=sessions.lifespan)
    add_sessions(app, sessions)
    token = None
    for _ in range(3):
        with TestClient(app, base_url="http://127.0.0.1:8000") as client:
            if token is not None:
                assert client.post("/auth/refresh", json={"refresh_token": token}).status_code == 200
            answer = client.post("/auth/login", json={"username": "ada", "password": PASSWORD})
            token = answer.json()["refresh_token"]
