"""For people's apps: the contract of /auth, by both transports."""

from collections.abc import Callable

import pytest

from tenure import Policy
from tenure.http.marks import companion_of
from tests.conftest import Clock
from tests.service.conftest import PASSWORD, Api, refused

KEY = "attempt-key-of-one-refresh"
COOKIE = "__Secure-tenure-refresh"
COMPANION = "__Host-tenure-session-7d2f30b8"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def test_login_answers_the_pair(api: Api) -> None:
    answer = api.post("/auth/login", json={"username": "ada", "password": PASSWORD, "device": "curl"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    pair = answer.json()
    assert set(pair) == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "refresh_expires_in",
        "refresh_token_expires_in",
        "authorization_expires_in",
        "session_id",
    }
    assert (pair["token_type"], pair["expires_in"], pair["refresh_expires_in"]) == ("Bearer", 600, 14 * 86400)
    me = api.get("/auth/me", bearer=pair["access_token"])
    assert me.headers["cache-control"] == "no-store"
    assert (me.json()["sub"], me.json()["sid"]) == ("ada", pair["session_id"])


def test_the_device_is_the_user_agent_unless_it_is_named(api: Api) -> None:
    pair = api.login(device="My phone")
    api.post("/auth/login", json={"username": "ada", "password": PASSWORD}, headers={"User-Agent": "Browser/1"})
    sessions = api.get("/auth/sessions", bearer=pair["access_token"]).json()["sessions"]
    assert {session["device"] for session in sessions} == {"My phone", "Browser/1"}
    assert [session["current"] for session in sessions if session["device"] == "My phone"] == [True]


@pytest.mark.parametrize(("username", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("ADA", PASSWORD)])
def test_wrong_credentials_are_told_apart_from_nothing(api: Api, username: str, password: str) -> None:
    answer = api.post("/auth/login", json={"username": username, "password": password})
    assert refused(answer, 400, "invalid_grant") == "The user name or the password is wrong."


@pytest.mark.asvs("7.2.2")
def test_refresh_rotates_and_reuse_ends_the_family(api: Api) -> None:
    first = api.login()
    second = api.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    third = api.refresh(second["refresh_token"]).json()
    refused(api.refresh(first["refresh_token"]), 400, "invalid_grant", "reuse_detected")
    refused(api.refresh(third["refresh_token"]), 400, "invalid_grant", "reuse_detected")
    dead = api.get("/auth/me", bearer=third["access_token"])
    refused(dead, 401, "invalid_token", "revoked")
    assert dead.headers["www-authenticate"].startswith('Bearer realm="tenure", error="invalid_token"')


def test_the_attempt_key_travels_as_idempotency_key(make_api: Callable[..., Api], clock: Clock) -> None:
    api = make_api(policy=Policy(leeway=0))
    first = api.login()
    api.refresh(first["refresh_token"], headers={"Idempotency-Key": KEY})
    clock.advance(3600)
    retried = api.refresh(first["refresh_token"], headers={"Idempotency-Key": KEY})
    assert retried.status_code == 200
    clock.advance(1)
    refused(api.refresh(first["refresh_token"]), 400, "invalid_grant", "reuse_detected")


def test_an_expired_access_token_says_so(api: Api, clock: Clock) -> None:
    pair = api.login()
    clock.advance(600)
    answer = api.get("/auth/me", bearer=pair["access_token"])
    refused(answer, 401, "invalid_token", "expired")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    later = api.refresh(pair["refresh_token"]).json()
    assert api.get("/auth/me", bearer=later["access_token"]).status_code == 200


@pytest.mark.asvs("7.4.1")
def test_a_session_expires(api: Api, clock: Clock) -> None:
    pair = api.login()
    clock.advance(14 * 86400)
    refused(api.refresh(pair["refresh_token"]), 400, "invalid_grant", "expired")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}])
def test_without_an_access_token_the_challenge_has_no_error_code(api: Api, headers: dict[str, str]) -> None:
    answer = api.get("/auth/me", headers=headers)
    refused(answer, 401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer realm="tenure"'


def test_the_cookie_transport(api: Api, clock: Clock) -> None:
    answer = api.post(
        "/auth/login", json={"username": "ada", "password": PASSWORD, "transport": "cookie"}, headers=SAME_ORIGIN
    )
    assert "refresh_token" not in answer.json()
    cookie, companion, device = answer.headers.get_list("set-cookie")
    name, _, rest = cookie.partition("=")
    token, *attributes = rest.split("; ")
    assert name == COOKIE
    assert attributes == ["Path=/auth", "Max-Age=1209600", "HttpOnly", "SameSite=Strict", "Secure"]
    name, _, rest = companion.partition("=")
    session_id, *attributes = rest.split("; ")
    assert name == COMPANION
    assert session_id.startswith(answer.json()["session_id"] + ".")
    assert attributes == ["Path=/", "Max-Age=1209600", "HttpOnly", "SameSite=Strict", "Secure"]
    assert device.startswith("__Secure-tenure-device=")
    assert device.endswith("; Path=/auth; Max-Age=34560000; HttpOnly; SameSite=Strict; Secure")
    headers = {"Cookie": f"other=1; {COOKIE}={token}; {COMPANION}={session_id}", **SAME_ORIGIN}
    answer = api.post("/auth/refresh", headers=headers)
    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()
    renewed = answer.headers.get_list("set-cookie")[0].partition("=")[2].partition(";")[0]
    assert renewed.startswith("tnr1_")
    assert renewed != token
    headers["Cookie"] = f"{COOKIE}={renewed}; {COMPANION}={session_id}"
    answer = api.post("/auth/logout", headers=headers)
    assert answer.status_code == 204
    gone = answer.headers.get_list("set-cookie")
    assert gone[0].startswith(f"{COOKIE}=; Path=/auth; Max-Age=0;")
    assert gone[1].startswith(f"{COMPANION}=; Path=/; Max-Age=0;")
    refused(api.post("/auth/refresh", headers=headers), 400, "invalid_grant", "revoked")


def test_a_refusal_leaves_the_cookie_alone(api: Api) -> None:
    """Another tab may have got a newer one meanwhile: whoever loses a race must not wipe the winner's."""
    answer = api.post("/auth/refresh", headers={"Cookie": f"{COOKIE}=tnr1_rubbish", **SAME_ORIGIN})
    refused(answer, 400, "invalid_grant", "unknown")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://app.example.com"}, True),
        ({"Origin": "https://app.example.com"}, True),
        ({"Origin": "https://other.example", "Sec-Fetch-Site": "cross-site"}, True),
        ({}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://app.example.com"}, False),
        ({"Origin": "https://app.example.com.evil.example"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://sub.example.com"}, False),
    ],
)
def test_the_cookie_is_believed_only_from_pages_of_this_origin(
    api: Api, headers: dict[str, str], allowed: bool
) -> None:
    pair = api.login()
    token = pair["refresh_token"]
    with_cookie = {
        "Cookie": f"{COOKIE}={token}; {COMPANION}={companion_of(pair['session_id'], api.auth.issuer.keys.mark)}",
        **headers,
    }
    login = {"username": "ada", "password": PASSWORD, "transport": "cookie"}
    answers = [
        api.post("/auth/login", json=login, headers=headers),
        api.post("/auth/refresh", headers=with_cookie),
        api.post("/auth/logout", headers=with_cookie),
    ]
    if allowed:
        assert [answer.status_code for answer in answers] == [200, 200, 204]
    else:
        for answer in answers:
            refused(answer, 403, "invalid_request")
        assert api.refresh(token).status_code == 200


def test_other_origins_may_ask_with_cors(api: Api) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}
    answer = api.request("OPTIONS", "/auth/refresh", headers={"Origin": "https://other.example", **preflight})
    assert answer.headers["access-control-allow-origin"] == "https://other.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    answer = api.request("OPTIONS", "/auth/refresh", headers={"Origin": "https://evil.example", **preflight})
    assert "access-control-allow-origin" not in answer.headers


def test_without_cookies(make_api: Callable[..., Api]) -> None:
    api = make_api(cookies=None)
    login = {"username": "ada", "password": PASSWORD, "transport": "cookie"}
    assert "switched off" in refused(api.post("/auth/login", json=login), 400, "invalid_request")
    token = api.login()["refresh_token"]
    refused(api.post("/auth/refresh", headers={"Cookie": f"{COOKIE}={token}"}), 400, "invalid_request")
    answer = api.post("/auth/logout", json={"refresh_token": token})
    assert answer.status_code == 204
    assert "set-cookie" not in answer.headers


def test_logout_by_refresh_token_is_idempotent(api: Api) -> None:
    pair = api.login()
    for _ in range(2):
        assert api.post("/auth/logout", json={"refresh_token": pair["refresh_token"]}).status_code == 204
    refused(api.get("/auth/me", bearer=pair["access_token"]), 401, "invalid_token", "revoked")


@pytest.mark.asvs("7.4.1")
def test_logout_by_access_token_is_idempotent(api: Api) -> None:
    pair = api.login()
    for _ in range(2):
        assert api.post("/auth/logout", bearer=pair["access_token"]).status_code == 204
    refused(api.refresh(pair["refresh_token"]), 400, "invalid_grant", "revoked")


def test_logout_by_an_old_refresh_token_ends_the_session_too(api: Api) -> None:
    first = api.login()
    second = api.refresh(first["refresh_token"]).json()
    assert api.post("/auth/logout", json={"refresh_token": first["refresh_token"]}).status_code == 204
    refused(api.refresh(second["refresh_token"]), 400, "invalid_grant", "revoked")


def test_logout_of_nothing_and_of_rubbish(api: Api) -> None:
    assert api.post("/auth/logout").status_code == 204
    refused(api.post("/auth/logout", json={"refresh_token": "rubbish"}), 400, "invalid_grant", "unknown")
    refused(api.post("/auth/logout", bearer="rubbish"), 401, "invalid_token")


@pytest.mark.asvs("7.5.2", "10.4.9")
def test_the_list_and_ending_from_it(api: Api, clock: Clock) -> None:
    phone = api.login(device="phone")
    clock.advance(60)
    laptop = api.login(device="laptop")
    clock.advance(60)
    api.refresh(laptop["refresh_token"])
    listed = api.get("/auth/sessions", bearer=laptop["access_token"]).json()["sessions"]
    assert [(one["device"], one["current"]) for one in listed] == [("phone", False), ("laptop", True)]
    assert listed[1] == {
        "id": laptop["session_id"],
        "device": "laptop",
        "client_id": "first-party",
        "scope": "",
        "created_at": int(clock.now) - 60,
        "last_used_at": int(clock.now),
        "expires_at": int(clock.now) + 14 * 86400,
        "ends_at": int(clock.now) - 60 + 90 * 86400,
        "lifetime": "remembered",
        "bound": None,
        "current": True,
    }
    path = f"/auth/sessions/{phone['session_id']}"
    for _ in range(2):
        assert api.delete(path, bearer=laptop["access_token"]).status_code == 204
    refused(api.get("/auth/me", bearer=phone["access_token"]), 401, "invalid_token", "revoked")
    refused(api.refresh(phone["refresh_token"]), 400, "invalid_grant", "revoked")
    assert [event.by for event in api.events if event.kind == "revoked"] == ["owner"]


@pytest.mark.parametrize("session_id", ["0" * 32, "x", "%2e%2e", "A" * 32, "é"])
def test_an_unknown_session_is_not_found(api: Api, session_id: str) -> None:
    token = api.login()["access_token"]
    refused(api.delete(f"/auth/sessions/{session_id}", bearer=token), 404, "invalid_request")


@pytest.mark.asvs("7.5.2")
def test_nobody_ends_somebody_elses_session(api: Api) -> None:
    api.accounts.add("bob", PASSWORD)
    bob = api.post("/auth/login", json={"username": "bob", "password": PASSWORD}).json()
    ada = api.login()
    path = f"/auth/sessions/{bob['session_id']}"
    refused(api.delete(path, bearer=ada["access_token"]), 404, "invalid_request")
    assert api.refresh(bob["refresh_token"]).status_code == 200


@pytest.mark.asvs("7.4.3")
def test_ending_all_or_all_others(api: Api) -> None:
    pairs = [api.login() for _ in range(3)]
    mine = pairs[0]["access_token"]
    assert api.delete("/auth/sessions?others=true", bearer=mine).json() == {"ended": 2}
    assert api.get("/auth/me", bearer=mine).status_code == 200
    refused(api.get("/auth/me", bearer=pairs[1]["access_token"]), 401, "invalid_token", "revoked")
    refused(api.delete("/auth/sessions?others=perhaps", bearer=mine), 400, "invalid_request")
    assert api.delete("/auth/sessions", bearer=mine).json() == {"ended": 1}
    refused(api.get("/auth/me", bearer=mine), 401, "invalid_token", "revoked")


def test_another_clients_token_may_not_manage_sessions(api: Api) -> None:
    pair = api.admin_session(subject="ada", client_id="public")
    for method, path in (("GET", ""), ("DELETE", ""), ("DELETE", f"/{pair['session_id']}")):
        answer = api.request(method, f"/auth/sessions{path}", bearer=pair["access_token"])
        refused(answer, 403, "insufficient_scope")
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert api.get("/auth/me", bearer=pair["access_token"]).status_code == 200


def test_the_limit_of_sessions_refuses_a_login(make_api: Callable[..., Api]) -> None:
    api = make_api(policy=Policy(max_sessions=1, at_limit="refuse_login"))
    api.login()
    answer = api.post("/auth/login", json={"username": "ada", "password": PASSWORD})
    assert "End one of them first" in refused(answer, 400, "invalid_grant")


def test_sign_ins_are_limited_by_account(api: Api) -> None:
    wrong = {"username": "ada", "password": "wrong"}
    answers = [api.post("/auth/login", json=wrong) for _ in range(21)]
    assert {answer.status_code for answer in answers[:20]} == {400}
    refused(answers[20], 429, "temporarily_unavailable")
    assert 1 <= int(answers[20].headers["retry-after"]) <= 300
    # Not even the right password comes through, and others are not touched.
    assert api.post("/auth/login", json={"username": "ada", "password": PASSWORD}).status_code == 429
    assert api.post("/auth/login", json={"username": "bob", "password": "wrong"}).status_code == 400


def test_coming_in_forgets_the_attempts(api: Api) -> None:
    for _ in range(3):
        for _ in range(12):
            api.post("/auth/login", json={"username": "ada", "password": "wrong"})
        api.login()


def test_sign_ins_are_limited_by_address(api: Api) -> None:
    answers = [
        api.post("/auth/login", json={"username": f"user-{number}", "password": "wrong"}) for number in range(301)
    ]
    assert {answer.status_code for answer in answers[:300]} == {400}
    refused(answers[300], 429, "temporarily_unavailable")


def test_refused_refreshes_are_limited_by_what_was_presented(api: Api) -> None:
    """One broken client costs nobody beside it anything."""
    good = api.login()["refresh_token"]
    ended = api.login()
    api.run(api.auth.revoke(ended["session_id"]))
    answers = [api.refresh(ended["refresh_token"]) for _ in range(101)]
    assert {answer.status_code for answer in answers[:100]} == {400}
    refused(answers[100], 429, "temporarily_unavailable")
    assert int(answers[100].headers["retry-after"]) >= 1
    assert api.refresh(good).status_code == 200


def test_forged_refresh_tokens_cost_arithmetic_only_and_nobody_a_refresh(api: Api) -> None:
    good = api.login()["refresh_token"]
    asked: list[object] = []
    run = api.store.arun
    api.store.arun = lambda call: (asked.append(call), run(call))[1]  # type: ignore[method-assign]
    for number in range(300):
        refused(api.refresh(f"tnr1_{number:0112d}"), 400, "invalid_grant", "unknown")
    assert asked == []
    assert api.refresh(good).status_code == 200


def test_good_refreshes_are_not_limited(api: Api) -> None:
    token = api.login()["refresh_token"]
    for _ in range(150):
        token = api.refresh(token).json()["refresh_token"]


def test_an_unknown_user_takes_as_long_as_a_wrong_password(api: Api) -> None:
    """Both verify one hash of the same cost: counted, as times would only be likely to differ."""
    from argon2 import PasswordHasher

    verified: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
            verified.append(str(hash).rpartition("$")[0].rpartition("$")[0])
            return super().verify(hash, password)

    from tenure.server.accounts import Accounts

    accounts = Accounts(api.store, Counting())
    accounts.add("carol", PASSWORD)
    assert accounts.authenticate("carol", "wrong") is None
    assert accounts.authenticate("nobody", "wrong") is None
    assert accounts.authenticate("nobody", "nobody's password") is None
    assert len(set(verified)) == 1
    assert len(verified) == 3


def test_any_authenticator_can_be_plugged_in(make_api: Callable[..., Api]) -> None:
    class Directory:
        async def authenticate(self, username: str, password: str) -> str | None:
            return f"uid-{username}" if password == "open sesame" else None

    api = make_api(authenticator=Directory())
    pair = api.post("/auth/login", json={"username": "eve", "password": "open sesame"}).json()
    assert api.get("/auth/me", bearer=pair["access_token"]).json()["sub"] == "uid-eve"
    refused(api.post("/auth/login", json={"username": "eve", "password": "x"}), 400, "invalid_grant")


def test_a_hash_of_older_parameters_is_renewed_at_login(api: Api) -> None:
    from argon2 import PasswordHasher

    from tenure.core.calls import GetRecord
    from tenure.server.accounts import Accounts

    stronger = Accounts(api.store, PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    before = api.store.run(GetRecord("account", "ada"))
    assert stronger.authenticate("ada", PASSWORD) == "ada"
    after = api.store.run(GetRecord("account", "ada"))
    assert before != after
    assert "t=2" in str(after)
    assert stronger.authenticate("ada", PASSWORD) == "ada"
    assert api.store.run(GetRecord("account", "ada")) == after


def test_a_name_is_the_same_however_its_letters_are_composed(api: Api) -> None:
    api.accounts.add("zo\u00eb", PASSWORD)
    pair = api.post("/auth/login", json={"username": "zoe\u0308", "password": PASSWORD}).json()
    assert api.get("/auth/me", bearer=pair["access_token"]).json()["sub"] == "zo\u00eb"
