"""DPoP (RFC 9449) over HTTP: at the endpoints that hand out tokens, and where tokens are used."""

from collections.abc import Callable
from typing import Any

import pytest

from tenure import Policy
from tests.conftest import Clock
from tests.dpop import Key
from tests.service.conftest import ORIGIN, PASSWORD, Answer, Api, refused

OWNER, THIEF = Key(), Key()


def with_proof(api: Api, method: str, path: str, key: Key = OWNER, **details: Any) -> Answer:
    """A request as a client makes it: with a nonce, once the server asks for one."""
    headers, token = details.pop("headers", {}), details.pop("token", None)
    if token is not None:
        headers = {**headers, "Authorization": f"DPoP {token}"}
    answer = None
    for _ in range(2):
        nonce = None if answer is None else answer.headers["dpop-nonce"]
        proof = key.proof(method, ORIGIN + path, api.clock.now, nonce=nonce, access_token=token)
        answer = api.request(method, path, headers={**headers, "DPoP": proof}, **details)
        if "use_dpop_nonce" not in answer.text:
            break
    assert answer is not None
    assert "dpop-nonce" in answer.headers
    return answer


def login(api: Api, key: Key = OWNER, **more: Any) -> dict[str, Any]:
    answer = with_proof(api, "POST", "/auth/login", key, json={"username": "ada", "password": PASSWORD, **more})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["token_type"] == "DPoP"
    return body


def refresh(api: Api, token: str, key: Key | None = OWNER, **headers: str) -> Answer:
    body = {"refresh_token": token}
    if key is None:
        return api.post("/auth/refresh", json=body, headers=headers)
    return with_proof(api, "POST", "/auth/refresh", key, json=body, headers=headers)


def test_a_nonce_is_asked_for_before_anything_is_done(api: Api) -> None:
    proof = OWNER.proof("POST", f"{ORIGIN}/auth/login", api.clock.now)
    for password in (PASSWORD, "wrong"):
        answer = api.post("/auth/login", json={"username": "ada", "password": password}, headers={"DPoP": proof})
        refused(answer, 400, "use_dpop_nonce")
        assert answer.headers["dpop-nonce"] == api.auth.proofs.nonce()
    assert api.events == []


def test_a_bound_session_over_its_life(api: Api) -> None:
    pair = login(api)
    newer = refresh(api, pair["refresh_token"])
    assert newer.json()["token_type"] == "DPoP"
    me = with_proof(api, "GET", "/auth/me", token=newer.json()["access_token"])
    assert me.json()["cnf"] == {"jkt": OWNER.thumbprint}
    (listed,) = with_proof(api, "GET", "/auth/sessions", token=newer.json()["access_token"]).json()["sessions"]
    assert listed["bound"] == "key"
    ended = with_proof(api, "POST", "/auth/logout", json={"refresh_token": newer.json()["refresh_token"]})
    assert ended.status_code == 204
    refused(refresh(api, newer.json()["refresh_token"]), 400, "invalid_grant", "revoked")


@pytest.mark.asvs("10.4.5")
def test_everything_that_was_copied_is_worth_nothing(api: Api, clock: Clock) -> None:
    pair = login(api)
    newer = refresh(api, pair["refresh_token"], **{"Idempotency-Key": "attempt-0123456789"}).json()
    asked = len(api.store.asked)
    for token in (pair["refresh_token"], newer["refresh_token"]):
        for key in (None, THIEF):
            refused(refresh(api, token, key, **{"Idempotency-Key": "attempt-0123456789"}), 400, "invalid_grant")
        refused(api.post("/auth/logout", json={"refresh_token": token}), 400, "invalid_grant")
        form = {"token": token, "client_id": "first-party"}
        refused(api.post("/oauth/revoke", data=form), 400, "invalid_grant")
    form = {"token": newer["access_token"], "client_id": "first-party"}
    refused(api.post("/oauth/revoke", data=form), 400, "invalid_grant")
    for path in ("/auth/me", "/auth/sessions", "/auth/verify"):
        answer = api.get(path, bearer=newer["access_token"])
        refused(answer, 401, "invalid_token")
        assert answer.headers["www-authenticate"].startswith('DPoP realm="tenure", error="invalid_token"')
        assert 'algs="ES256 ' in answer.headers["www-authenticate"]
        refused(with_proof(api, "GET", path, THIEF, token=newer["access_token"]), 401, "invalid_dpop_proof")
    assert {type(call).__name__ for call in api.store.asked[asked:]} <= {"Advance", "Get", "GetRecord"}
    assert {event.kind for event in api.events} == {"logged_in", "refreshed", "stolen_token_refused"}
    clock.advance(400)
    assert refresh(api, newer["refresh_token"]).status_code == 200


def test_a_thief_does_not_keep_the_owner_waiting(api: Api) -> None:
    pair = login(api)
    answers = [refresh(api, pair["refresh_token"], None).status_code for _ in range(110)]
    assert answers[0] == 400
    assert answers[-1] == 429
    assert refresh(api, pair["refresh_token"]).status_code == 200


def test_the_fast_path_is_one_call_still(api: Api) -> None:
    pair = login(api)
    asked = len(api.store.asked)
    assert refresh(api, pair["refresh_token"]).status_code == 200
    assert [type(call).__name__ for call in api.store.asked[asked:]] == ["Advance"]


def test_standard_clients(api: Api) -> None:
    pair = api.admin_session(client_id="public", dpop_jkt=OWNER.thumbprint)
    assert pair["token_type"] == "DPoP"
    form = {"grant_type": "refresh_token", "client_id": "public", "refresh_token": pair["refresh_token"]}
    refused(api.post("/oauth/token", data=form), 400, "invalid_grant")
    newer = with_proof(api, "POST", "/oauth/token", data=form).json()
    assert newer["token_type"] == "DPoP"
    credentials = {"client_id": "confidential", "client_secret": api.client_secret}
    told = api.post("/oauth/introspect", data={"token": newer["access_token"], **credentials}).json()
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": OWNER.thumbprint})
    metadata = api.get("/.well-known/oauth-authorization-server").json()
    assert metadata["dpop_signing_alg_values_supported"] == ["ES256", "Ed25519", "EdDSA", "RS256"]
    ended = with_proof(api, "POST", "/oauth/revoke", data={"token": newer["refresh_token"], "client_id": "public"})
    assert ended.status_code == 200
    refused(with_proof(api, "POST", "/oauth/token", data={**form, "refresh_token": newer["refresh_token"]}), 400,
            "invalid_grant", "revoked")  # fmt: skip


@pytest.mark.parametrize("thumbprint", ["", "short", "!" * 43, 5])
def test_a_backend_names_a_thumbprint(api: Api, thumbprint: Any) -> None:
    body = {"subject": "user-42", "dpop_jkt": thumbprint}
    refused(api.post("/admin/sessions", json=body, bearer=api.api_key), 400, "invalid_request")


def test_a_proof_is_for_one_request(api: Api, clock: Clock) -> None:
    pair = login(api)
    nonce = api.auth.proofs.nonce()

    def sent(proof: str) -> Answer:
        return api.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]}, headers={"DPoP": proof})

    for url in (f"{ORIGIN}/auth/login", "https://evil.example/auth/refresh", f"{ORIGIN}/oauth/token"):
        refused(sent(OWNER.proof("POST", url, clock.now, nonce=nonce)), 400, "invalid_dpop_proof")
    refused(sent(OWNER.proof("GET", f"{ORIGIN}/auth/refresh", clock.now, nonce=nonce)), 400, "invalid_dpop_proof")
    proof = OWNER.proof("POST", f"{ORIGIN}/auth/refresh", clock.now, nonce=nonce)
    refused(sent(f"{proof}, {proof}"), 400, "invalid_dpop_proof")
    refused(sent("x" * 8000), 400, "invalid_dpop_proof")
    first = sent(proof)
    assert first.status_code == 200
    refused(sent(proof), 400, "invalid_dpop_proof")
    answer = api.post(
        "/auth/refresh",
        json={"refresh_token": pair["refresh_token"]},
        headers={"DPoP": OWNER.proof("POST", "https://evil.example/auth/refresh", clock.now, nonce=nonce),
                 "Host": "evil.example"},
    )  # fmt: skip
    refused(answer, 400, "invalid_dpop_proof")


def test_one_who_is_logged_in_moves_over_by_cookie_too(api: Api) -> None:
    logged_in = api.post("/auth/login", json={"username": "ada", "password": PASSWORD, "transport": "cookie"})
    cookie = "; ".join(f"{name}={value}" for name, value in logged_in.cookies.items())
    headers = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
    bound = with_proof(api, "POST", "/auth/refresh", headers=headers)
    assert bound.json()["token_type"] == "DPoP"
    assert "refresh_token" not in bound.json()
    cookie = "; ".join(f"{name}={value}" for name, value in bound.cookies.items())
    stolen = api.post("/auth/refresh", headers={"Cookie": cookie, "Sec-Fetch-Site": "same-origin"})
    refused(stolen, 400, "invalid_grant")
    mine = with_proof(api, "POST", "/auth/refresh", headers={"Cookie": cookie, "Sec-Fetch-Site": "same-origin"})
    assert mine.status_code == 200


def test_a_proxy_asks_about_the_request_of_its_client(api: Api, clock: Clock) -> None:
    token = login(api)["access_token"]
    url = "https://api.example.com/notes?page=2"
    forwarded = {
        "X-Forwarded-Method": "DELETE",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "api.example.com",
        "X-Forwarded-Uri": "/notes?page=2",
        "Authorization": f"DPoP {token}",
    }
    proof = OWNER.proof("DELETE", url, clock.now, access_token=token)
    told = api.get("/auth/verify", headers={**forwarded, "DPoP": proof})
    assert told.status_code == 204
    assert told.headers["x-auth-subject"] == "ada"
    assert told.headers["cache-control"] == "no-store"
    other = OWNER.proof("GET", f"{ORIGIN}/auth/verify", clock.now, access_token=token)
    refused(api.get("/auth/verify", headers={**forwarded, "DPoP": other}), 401, "invalid_dpop_proof")


def test_an_unbound_token_is_no_dpop_token(api: Api) -> None:
    token = api.login()["access_token"]
    refused(with_proof(api, "GET", "/auth/me", token=token), 401, "invalid_dpop_proof")


@pytest.mark.asvs("10.3.5", "10.4.14")
def test_a_binding_may_be_required(make_api: Callable[..., Api]) -> None:
    api = make_api(policy=Policy(binding="required"))
    answer = api.post("/auth/login", json={"username": "ada", "password": "wrong"})
    refused(answer, 400, "invalid_dpop_proof")
    assert login(api)["token_type"] == "DPoP"


def test_pages_of_other_origins_may_send_and_read_what_they_need(api: Api) -> None:
    asked = api.request(
        "OPTIONS",
        "/auth/refresh",
        headers={
            "Origin": "https://other.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "dpop",
        },
    )
    assert asked.status_code == 200
    exposed = api.post("/auth/refresh", headers={"Origin": "https://other.example"})
    assert "DPoP-Nonce" in exposed.headers["access-control-expose-headers"]
