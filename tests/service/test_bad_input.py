"""Whatever comes in: a 4xx that says what is wrong, and nothing has changed."""

import base64
from typing import Any

import pytest

from tenure.core.calls import Get
from tests.conftest import Clock
from tests.service.conftest import PASSWORD, Api, refused

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

BAD_JSON: list[tuple[bytes, dict[str, str], int]] = [
    (b"", JSON, 400),
    (b"", {}, 415),
    (b"{", JSON, 400),
    (b"[]", JSON, 400),
    (b"null", JSON, 400),
    (b"7", JSON, 400),
    (b'"text"', JSON, 400),
    (b"{}", JSON, 400),
    (b"\xff\xfe", JSON, 400),
    (b'{"username": "\xff", "password": "x"}', JSON, 400),
    (b'{"username": "ada", "username": "bob", "password": "x"}', JSON, 400),
    (b'{"username": NaN, "password": "x"}', JSON, 400),
    (b'{"username": "\\ud800", "password": "xxxxxxxx"}', JSON, 400),
    (b'{"username": "ada", "password": "\\ud800"}', JSON, 400),
    (b'{"username": ["ada"], "password": {}}', JSON, 400),
    (b'{"username": "ada"}', JSON, 400),
    (b'{"username": "ada", "password": null}', JSON, 400),
    (b'{"username": "ada", "password": "x", "transport": "pigeon"}', JSON, 400),
    (b'{"username": "ada", "password": "x", "device": 7}', JSON, 400),
    (b'{"username": "' + b"a" * 256 + b'", "password": "x"}', JSON, 400),
    (b'{"username": "ada", "password": "' + b"a" * 1025 + b'"}', JSON, 400),
    (b'{"a":' * 3000 + b"1" + b"}" * 3000, JSON, 400),
    (b"[" * 60_000, JSON, 400),
    (b"username=ada&password=x", FORM, 415),
    (b'{"username": "ada", "password": "x"}', {"Content-Type": "text/plain"}, 415),
    (b"x" * (64 * 1024 + 1), JSON, 413),
]


@pytest.mark.parametrize(("body", "headers", "status"), BAD_JSON)
def test_bad_json_is_refused(api: Api, body: bytes, headers: dict[str, str], status: int) -> None:
    refused(api.post("/auth/login", content=body, headers=headers), status, "invalid_request")
    refused(api.post("/admin/sessions", content=body, headers={**headers, "Authorization": f"Bearer {api.api_key}"}),
            status, "invalid_request")  # fmt: skip
    assert api.get("/admin/sessions?subject=ada", bearer=api.api_key).json() == {"sessions": []}


BAD_FORMS: list[tuple[bytes, dict[str, str], int, str]] = [
    (b"", FORM, 401, "invalid_client"),
    (b"grant_type=refresh_token&client_id=public", {}, 415, "invalid_request"),
    (b"{}", JSON, 415, "invalid_request"),
    (b"client_id=public&client_id=public", FORM, 400, "invalid_request"),
    (b"client_id=public&grant_type=refresh_token&refresh_token=a&refresh_token=b", FORM, 400, "invalid_request"),
    (b"client_id=public&grant_type=refresh_token&refresh_token=%ff", FORM, 400, "invalid_request"),
    (b"client_id=public&grant_type=\xff", FORM, 400, "invalid_request"),
    (b"client_id=public&grant_type=refresh_token&refresh_token=" + b"x" * 4097, FORM, 400, "invalid_request"),
    (b"&".join(b"p%d=1" % n for n in range(60)), FORM, 400, "invalid_request"),
    (b"x" * (64 * 1024 + 1), FORM, 413, "invalid_request"),
]


@pytest.mark.parametrize(("body", "headers", "status", "error"), BAD_FORMS)
def test_a_bad_form_is_refused(api: Api, body: bytes, headers: dict[str, str], status: int, error: str) -> None:
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect"):
        answer = api.post(path, content=body, headers=headers)
        if path == "/oauth/token" or error == "invalid_client" or status in (413, 415):
            refused(answer, status, error)
        else:
            assert 400 <= answer.status_code < 500


def test_a_body_that_is_sent_in_pieces_is_bounded_too(api: Api) -> None:
    async def pieces() -> Any:
        for _ in range(100):
            yield b"x" * 1024

    refused(api.post("/auth/login", content=pieces(), headers=JSON), 413, "invalid_request")


def test_a_token_cut_at_every_length_is_refused(api: Api) -> None:
    api.throttle.refresh_refused = lambda address: None  # type: ignore[method-assign]
    token = api.login()["refresh_token"]
    for length in range(len(token)):
        error = "invalid_request" if length == 0 else "invalid_grant"
        refused(api.refresh(token[:length]), 400, error, None if length == 0 else "unknown")
    assert api.refresh(token).status_code == 200


def test_a_token_with_every_byte_flipped_is_refused_without_asking_the_store(api: Api) -> None:
    api.throttle.refresh_refused = lambda address: None  # type: ignore[method-assign]
    token = api.login()["refresh_token"]
    raw = bytearray(base64.urlsafe_b64decode(token[5:]))
    before = len(api.store.asked)
    for place in range(len(raw)):
        raw[place] ^= 0xFF
        flipped = "tnr1_" + base64.urlsafe_b64encode(raw).decode()
        refused(api.refresh(flipped), 400, "invalid_grant", "unknown")
        refused(api.post("/auth/logout", json={"refresh_token": flipped}), 400, "invalid_grant", "unknown")
        raw[place] ^= 0xFF
    assert len(api.store.asked) == before
    assert api.refresh(token).status_code == 200


@pytest.mark.parametrize("key", ["short", "x" * 201])
def test_a_bad_attempt_key_changes_nothing(api: Api, key: str) -> None:
    token = api.login()["refresh_token"]
    refused(api.refresh(token, headers={"Idempotency-Key": key}), 400, "invalid_request")
    (session,) = api.get("/admin/sessions?subject=ada", bearer=api.api_key).json()["sessions"]
    assert session["created_at"] == session["last_used_at"]
    found = api.store.run(Get(session["id"]))
    assert found is not None
    assert found.head.generation == 0


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"refresh_token": 7}', b'{"refresh_token": null}', b'{"refresh_token": ""}']
)
def test_a_bad_refresh_or_logout_body_is_refused(api: Api, body: bytes) -> None:
    for path in ("/auth/refresh", "/auth/logout"):
        refused(api.post(path, content=body, headers=JSON), 400, "invalid_request")
    refused(api.post("/auth/refresh"), 400, "invalid_request")


def test_expired_everything(api: Api, clock: Clock) -> None:
    pair = api.login()
    clock.advance(91 * 86400)
    refused(api.refresh(pair["refresh_token"]), 400, "invalid_grant", "expired")
    for method, path in (("GET", "/auth/me"), ("GET", "/auth/sessions"), ("DELETE", "/auth/sessions")):
        refused(api.request(method, path, bearer=pair["access_token"]), 401, "invalid_token", "expired")
    refused(api.post("/auth/logout", bearer=pair["access_token"]), 401, "invalid_token", "expired")
    assert api.post("/auth/logout", json={"refresh_token": pair["refresh_token"]}).status_code == 204


def test_a_token_of_another_deployment_is_refused(api: Api) -> None:
    from tenure import Tenure

    with Tenure("memory://", secret="x" * 32, issuer="https://app.example.com", audience="api") as other:
        pair = other.login("ada")
    refused(api.refresh(pair.refresh_token), 400, "invalid_grant", "unknown")
    refused(api.get("/auth/me", bearer=pair.access_token), 401, "invalid_token")


@pytest.mark.parametrize(
    "path", ["/", "/auth", "/auth/login/", "/auth/nothing", "/admin", "/..%2f..%2fetc", "/oauth//token"]
)
def test_an_unknown_path_is_not_found(api: Api, path: str) -> None:
    refused(api.get(path), 404, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/auth/login", "POST"),
        ("PUT", "/auth/sessions", "DELETE, GET, HEAD"),
        ("DELETE", "/oauth/token", "POST"),
        ("TRACE", "/healthz", "GET, HEAD"),
        ("POST", "/auth/me", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(api: Api, method: str, path: str, allow: str) -> None:
    answer = api.request(method, path)
    refused(answer, 405, "invalid_request")
    assert answer.headers["allow"] == allow


def test_a_header_that_occurs_twice_is_no_credential(api: Api) -> None:
    token = api.login()["access_token"]
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    answer = api.run(api.http.request("GET", "/auth/me", headers=headers))
    refused(answer, 401, "invalid_token")


@pytest.mark.parametrize("part", ["authenticator", "throttle"])
def test_an_applications_code_that_raises_changes_nothing(
    api: Api, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(username: str, *more: str) -> str:
        raise RuntimeError(f"the directory fell over {username} {more}")

    pair = api.login()
    if part == "authenticator":
        api.accounts.authenticate = broken  # type: ignore[method-assign]
    else:
        api.throttle.sign_in = api.throttle.refresh = broken  # type: ignore[assignment,method-assign]
    answers = [api.post("/auth/login", json={"username": "ada", "password": PASSWORD})]
    if part == "throttle":
        answers.append(api.refresh(pair["refresh_token"]))
    for answer in answers:
        refused(answer, 503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "1"
        assert PASSWORD not in answer.text
    assert f"the application's {part} failed" in caplog.text
    assert "RuntimeError: the directory fell over" in caplog.text
    assert PASSWORD not in caplog.text
    (session,) = api.run(api.auth.sessions("ada"))
    assert session.head.generation == 0


def test_what_nobody_foresaw_is_told_in_the_same_form(api: Api) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError(f"the clock fell over {PASSWORD}")

    token = api.login()["access_token"]
    api.auth.issuer.checker.check = broken  # type: ignore[method-assign]
    answer = api.get("/auth/me", bearer=token)
    refused(answer, 500, "server_error")
    assert PASSWORD not in answer.text


def test_no_refusal_repeats_what_was_sent(api: Api) -> None:
    for answer in (
        api.post("/auth/login", json={"username": "ada", "password": "hunter2-hunter2"}),
        api.refresh("tnr1_hunter2"),
        api.get("/auth/me", bearer="hunter2"),
        api.get("/admin/sessions?subject=ada", bearer="tnk1_hunter2"),
        api.post("/oauth/token", data={"client_id": "public", "client_secret": "hunter2"}),
        api.post("/auth/login", content=b'{"password": "hunter2"', headers=JSON),
    ):
        assert 400 <= answer.status_code < 500
        assert "hunter2" not in answer.text + repr(dict(answer.headers))
