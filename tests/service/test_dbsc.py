"""Device Bound Session Credentials over HTTP, with a browser that follows the W3C draft."""

from collections.abc import Callable
from typing import Any

import pytest

from tenure import Policy
from tests.conftest import Clock
from tests.dpop import Key, b64
from tests.service.conftest import ORIGIN, PASSWORD, Answer, Api, refused
from tests.user_agent import UserAgent

REGISTER, REFRESH = "/auth/dbsc/register", "/auth/dbsc/refresh"


def browser(api: Api, **details: Any) -> UserAgent:
    return UserAgent(api.request, lambda: api.clock.now, ORIGIN, **details)


def login(agent: UserAgent) -> Answer:
    body = {"username": "ada", "password": PASSWORD, "transport": "cookie"}
    answer = agent.request("POST", "/auth/login", json=body)
    assert answer.status_code == 200, answer.text
    return answer


def refresh(agent: UserAgent) -> Answer:
    return agent.request("POST", "/auth/refresh")


def copied(agent: UserAgent) -> UserAgent:
    """The thief: everything that a cookie jar has, but no key and none of the browser's sessions."""
    return UserAgent(agent.send, agent.now, agent.origin, jar=dict(agent.jar))


def stored(api: Api) -> Any:
    (session,) = api.run(api.auth.sessions(api.accounts.authenticate("ada", PASSWORD)))
    return session


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_login_by_cookie_is_bound_to_the_device(api: Api, algorithm: str) -> None:
    agent = browser(api, algorithm=algorithm)
    pair = login(agent).json()
    assert agent.sent == ["POST /auth/login", f"POST {REGISTER}"]
    assert list(agent.sessions) == [pair["session_id"]]
    assert pair["token_type"] == "Bearer"
    for _ in range(3):
        api.clock.now += 700
        agent.sent.clear()
        answer = refresh(agent)
        assert answer.status_code == 200, answer.text
        assert agent.sent == [f"POST {REFRESH}", f"POST {REFRESH}", "POST /auth/refresh"]
    (listed,) = api.get("/auth/sessions", bearer=answer.json()["access_token"]).json()["sessions"]
    assert listed["bound"] == "device"
    kinds = [(event.kind, event.bound) for event in api.events]
    assert kinds == [("logged_in", None), ("bound", "device"), *[("refreshed", "device")] * 3]


def test_within_ten_minutes_the_browser_is_not_asked_again(api: Api) -> None:
    agent = browser(api)
    login(agent)
    agent.sent.clear()
    api.clock.now += 599
    assert refresh(agent).status_code == 200
    assert agent.sent == ["POST /auth/refresh"]


def test_a_copied_jar_is_worth_nothing_once_its_proof_is_old(api: Api) -> None:
    agent = browser(api)
    login(agent)
    thief = copied(agent)
    api.clock.now += 601
    refused(refresh(thief), 400, "invalid_grant")
    told = api.events[-1]
    assert (told.kind, told.bound, told.address) == ("stolen_token_refused", "device", "192.0.2.7")
    assert refresh(agent).status_code == 200  # the owner notices nothing
    api.clock.now += 601
    refused(refresh(thief), 400, "invalid_grant")
    assert refresh(agent).status_code == 200


def test_a_thief_can_bring_no_key_of_their_own(api: Api) -> None:
    agent = browser(api)
    login(agent)
    thief = copied(agent)
    api.clock.now += 601
    session = next(iter(agent.sessions.values()))
    asked = thief.send("POST", REFRESH, headers={"Sec-Secure-Session-Id": f'"{session.id}"'})
    challenge = asked.headers["secure-session-challenge"].split('"')[1]
    for key, registers in ((Key(), False), (Key(), True)):
        proof = thief.proof(key, challenge, registers=registers)
        headers = {"Sec-Secure-Session-Id": f'"{session.id}"', "Secure-Session-Response": f'"{proof}"'}
        refused(thief.send("POST", REFRESH, headers=headers), 400, "invalid_device_proof")
    assert refresh(agent).status_code == 200


def test_other_browsers_notice_nothing(api: Api) -> None:
    agent = browser(api, knows_dbsc=False)
    answer = login(agent)
    assert "secure-session-registration" in answer.headers
    for _ in range(3):
        api.clock.now += 700
        assert refresh(agent).status_code == 200
    assert stored(api).binding is None


@pytest.mark.parametrize("transport", ["body", "cookie"])
def test_only_where_the_refresh_token_is_in_a_cookie_it_is_offered(api: Api, transport: str) -> None:
    body = {"username": "ada", "password": PASSWORD, "transport": transport}
    answer = api.post("/auth/login", json=body, headers={"Origin": ORIGIN})
    assert ("secure-session-registration" in answer.headers) is (transport == "cookie")
    refreshed = api.post("/auth/refresh", headers={"Origin": ORIGIN, "Cookie": "; ".join(cookies_in(answer))})
    assert "secure-session-registration" not in refreshed.headers


def cookies_in(answer: Answer) -> list[str]:
    return [header.partition(";")[0] for header in answer.headers.get_list("set-cookie")]


def test_a_policy_without_binding_offers_nothing(make_api: Callable[..., Api]) -> None:
    api = make_api(policy=Policy(binding="off"))
    agent = browser(api)
    login(agent)
    assert agent.sent == ["POST /auth/login"]
    refused(api.post(REGISTER), 404, "invalid_request")


def test_without_cookies_there_is_nothing_to_bind(make_api: Callable[..., Api]) -> None:
    api = make_api(cookies=None)
    refused(api.post(REGISTER), 404, "invalid_request")
    refused(api.post(REFRESH), 404, "invalid_request")


@pytest.mark.parametrize("reason", ["unreachable", "server_error", "quota_exceeded"])
def test_a_browser_that_skipped_is_told_to_come_again(api: Api, reason: str) -> None:
    agent = browser(api)
    login(agent)
    api.clock.now += 700
    agent.skips = reason
    answer = refresh(agent)
    refused(answer, 503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "1"
    agent.skips = None
    assert refresh(agent).status_code == 200
    assert "stolen_token_refused" not in [event.kind for event in api.events]


def test_a_refresh_under_way_while_the_browser_registers_is_told_to_come_again(api: Api) -> None:
    agent = browser(api)
    login(agent)
    early = copied(agent)
    del early.jar["__Secure-tenure-proven"]
    refused(refresh(early), 503, "temporarily_unavailable")
    assert refresh(agent).status_code == 200


def test_a_page_that_also_proves_a_key_of_its_own_goes_on(api: Api) -> None:
    """The browser module's `bind` over a session that the browser itself has bound."""
    agent = browser(api)
    login(agent)
    nonce = api.auth.proofs.nonce()
    proof = Key().proof("POST", f"{ORIGIN}/auth/refresh", api.clock.now, nonce=nonce)
    answer = agent.request("POST", "/auth/refresh", headers={"DPoP": proof})
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "Bearer"


def test_a_session_is_registered_once_and_soon(api: Api) -> None:
    agent = browser(api, knows_dbsc=False)
    answer = login(agent)
    challenge = answer.headers["secure-session-registration"].split('challenge="')[1].rstrip('"')
    key = Key()

    def register(key: Key, **headers: str) -> Answer:
        proof = agent.proof(key, challenge, registers=True)
        return agent.request("POST", REGISTER, headers={"Secure-Session-Response": f'"{proof}"', **headers})

    without_cookie = api.post(
        REGISTER, headers={"Secure-Session-Response": f'"{agent.proof(key, challenge, registers=True)}"'}
    )
    refused(without_cookie, 400, "invalid_device_proof")
    assert stored(api).binding is None
    assert register(key).status_code == 200
    bound = stored(api)
    assert register(key).status_code == 200  # the first response was lost
    refused(register(Key()), 400, "invalid_device_proof")
    assert stored(api) == bound

    late = browser(api, knows_dbsc=False)
    challenge = login(late).headers["secure-session-registration"].split('challenge="')[1].rstrip('"')
    agent = late
    api.clock.now += 61
    refused(register(key), 400, "invalid_device_proof")


def test_a_session_that_has_ended_ends_the_registration(api: Api) -> None:
    agent = browser(api)
    pair = login(agent).json()
    api.delete("/auth/sessions", bearer=pair["access_token"])
    api.clock.now += 700
    refused(refresh(agent), 400, "invalid_grant", "revoked")
    assert agent.sessions == {}


def test_logging_out_needs_the_device_and_clears_its_cookie(api: Api) -> None:
    agent = browser(api)
    login(agent)
    thief = copied(agent)
    api.clock.now += 601
    refused(thief.request("POST", "/auth/logout"), 400, "invalid_grant")
    assert agent.request("POST", "/auth/logout").status_code == 204
    assert agent.jar["__Secure-tenure-proven"].until <= api.clock.now
    assert api.events[-1].kind == "revoked"


def test_a_challenge_is_answered_once_and_within_a_minute(api: Api) -> None:
    agent = browser(api)
    login(agent)
    (session,) = agent.sessions.values()
    named = {"Sec-Secure-Session-Id": f'"{session.id}"'}
    asked = agent.send("POST", REFRESH, headers=named)
    assert (asked.status_code, asked.json()["error"]) == (403, "invalid_device_proof")
    challenge = asked.headers["secure-session-challenge"].split('"')[1]
    signed = {**named, "Secure-Session-Response": f'"{agent.proof(session.key, challenge, registers=False)}"'}
    assert agent.send("POST", REFRESH, headers=signed).status_code == 200
    again = agent.send("POST", REFRESH, headers=signed)
    assert again.status_code == 403
    assert again.headers["secure-session-challenge"].split('"')[1] != challenge
    api.clock.now += 61
    assert agent.send("POST", REFRESH, headers=signed).status_code == 403


def test_a_challenge_of_an_instance_whose_clock_is_ahead_is_answered_once_too(api: Api) -> None:
    agent = browser(api)
    login(agent)
    (session,) = agent.sessions.values()
    named = {"Sec-Secure-Session-Id": f'"{session.id}"'}
    api.clock.now += 50
    challenge = agent.send("POST", REFRESH, headers=named).headers["secure-session-challenge"].split('"')[1]
    api.clock.now -= 50
    signed = {**named, "Secure-Session-Response": f'"{agent.proof(session.key, challenge, registers=False)}"'}
    assert agent.send("POST", REFRESH, headers=signed).status_code == 200
    api.clock.now += 65
    assert agent.send("POST", REFRESH, headers=signed).status_code == 403


def test_pages_without_javascript_are_bound_as_well(api: Api) -> None:
    agent = browser(api)
    login(agent)
    thief = copied(agent)
    api.clock.now += 700
    navigation = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
    answer = agent.request("GET", "/auth/continue?to=/page", headers=navigation)
    assert (answer.status_code, answer.headers["location"]) == (303, "/page")
    refused_page = thief.request("GET", "/auth/continue?to=/page", headers=navigation)
    assert refused_page.status_code == 401
    api.clock.now += 700
    agent.skips = "unreachable"
    waiting = agent.request("GET", "/auth/continue?to=/page", headers=navigation)
    assert waiting.status_code == 503
    assert "You stay logged in" in waiting.text
    agent.skips = None
    assert agent.request("GET", "/auth/continue?to=/page", headers=navigation).status_code == 303


@pytest.mark.parametrize(
    ("header", "claims", "reason"),
    [
        ({"typ": "JWT"}, {}, "typ"),
        ({"typ": None}, {}, "typ"),
        ({"alg": "none"}, {}, "alg"),
        ({"alg": "HS256"}, {}, "alg"),
        ({"alg": "EdDSA"}, {}, "alg"),
        ({"alg": 5}, {}, "alg"),
        ({"crit": ["x"]}, {}, "crit"),
        ({"jwk": None}, {}, "jwk"),
        ({"jwk": 7}, {}, "jwk"),
        ({"jwk": {"kty": "oct", "k": "AAAA"}}, {}, "jwk"),
        ({"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}, {}, "jwk"),
        ({"jwk": {**Key().jwk, "d": "AAAA"}}, {}, "jwk"),
        ({"jwk": Key().jwk}, {}, "signature"),
        ({}, {"jti": None}, "jti"),
        ({}, {"jti": 5}, "jti"),
        ({}, {"jti": "made up"}, "challenge"),
        ({}, {"aud": "https://elsewhere.example/auth/dbsc/register"}, "aud"),
        ({}, {"aud": 5}, "aud"),
        ({}, {"sub": "f" * 32}, "sub"),
    ],
)
def test_a_bad_registration_changes_nothing(
    api: Api, header: dict[str, Any], claims: dict[str, Any], reason: str
) -> None:
    agent = browser(api, knows_dbsc=False)
    answer = login(agent)
    challenge = answer.headers["secure-session-registration"].split('challenge="')[1].rstrip('"')
    proof = agent.proof(Key(), challenge, registers=True, header=header, **claims)
    given = agent.request("POST", REGISTER, headers={"Secure-Session-Response": f'"{proof}"'})
    refused(given, 400, "invalid_device_proof")
    assert given.json()["reason"] == reason
    assert stored(api).binding is None
    assert refresh(agent).status_code == 200


@pytest.mark.parametrize(
    "response",
    ["", '""', "no quotes", '"a.b"', '"a.b.c"', f'"{b64(b"[]")}.{b64(b"{}")}.{b64(b"x")}"', f'"{"x" * 9000}"'],
)
def test_what_is_no_proof_is_refused(api: Api, response: str) -> None:
    agent = browser(api, knows_dbsc=False)
    login(agent)
    refused(agent.request("POST", REGISTER, headers={"Secure-Session-Response": response}), 400, "invalid_device_proof")


@pytest.mark.parametrize("named", ["", "abc", '"abc"', f'"{"f" * 31}"', f'"{"F" * 32}"', '"' + "é" * 32 + '"'])
def test_a_refresh_names_a_session(api: Api, named: str) -> None:
    answer = api.request("POST", REFRESH, headers={"Sec-Secure-Session-Id": named.encode("latin-1")})
    refused(answer, 400, "invalid_request")


@pytest.mark.parametrize("part", ["challenge", "session"])
def test_a_challenge_is_for_one_session_and_one_purpose(api: Api, part: str) -> None:
    one, other = browser(api), browser(api)
    answer = login(one)
    login(other)
    (own,), (foreign,) = one.sessions.values(), other.sessions.values()
    if part == "challenge":
        challenge = answer.headers["secure-session-registration"].split('challenge="')[1].rstrip('"')
    else:
        asked = other.send("POST", REFRESH, headers={"Sec-Secure-Session-Id": f'"{foreign.id}"'})
        challenge = asked.headers["secure-session-challenge"].split('"')[1]
    proof = one.proof(own.key, challenge, registers=False)
    headers = {"Sec-Secure-Session-Id": f'"{own.id}"', "Secure-Session-Response": f'"{proof}"'}
    assert one.send("POST", REFRESH, headers=headers).status_code == 403


def test_the_key_is_pinned_to_its_algorithm(api: Api, clock: Clock) -> None:
    agent = browser(api)
    login(agent)
    (session,) = agent.sessions.values()
    asked = agent.send("POST", REFRESH, headers={"Sec-Secure-Session-Id": f'"{session.id}"'})
    challenge = asked.headers["secure-session-challenge"].split('"')[1]
    proof = agent.proof(Key("RS256"), challenge, registers=False)
    headers = {"Sec-Secure-Session-Id": f'"{session.id}"', "Secure-Session-Response": f'"{proof}"'}
    refused(agent.send("POST", REFRESH, headers=headers), 400, "invalid_device_proof")
