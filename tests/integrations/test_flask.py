"""The example with Flask, used as its people and their front ends use it; factories and several applications."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from examples import flask_notes
from tenure import ConfigurationError, InvalidAccessToken
from tenure.integrations.flask import Sessions, current_session, session_required
from tests.integrations.bound import only_the_owner_reads_the_notes

ADA = {"username": "ada", "password": "correct horse battery"}
BOB = {"username": "bob", "password": "staple of the horse"}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    made = flask_notes.create_app(f"sqlite:///{tmp_path}/notes.db")
    yield made
    flask_notes.sessions.tenure(made).close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def login(client: FlaskClient, who: dict[str, str] = ADA) -> dict[str, Any]:
    answer = client.post("/auth/login", json=who)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def bearer(pair: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access_token']}"}


def test_a_person_logs_in_writes_refreshes_and_leaves(client: FlaskClient) -> None:
    refused = client.get("/notes")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="tenure"'
    pair = login(client)
    assert client.post("/notes", data="first", headers=bearer(pair)).json == ["first"]
    pair = dict(client.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]}).json or {})
    assert client.get("/notes", headers=bearer(pair)).json == ["first"]
    assert client.get("/notes", headers=bearer(login(client, BOB))).json == []
    assert client.delete(f"/auth/sessions/{pair['session_id']}", headers=bearer(login(client))).status_code == 204
    ended = client.get("/notes", headers=bearer(pair))
    assert ended.status_code == 401
    assert ended.json is not None
    assert ended.json["reason"] == "revoked"


@pytest.mark.asvs("10.3.2")
def test_roles_and_scopes(client: FlaskClient) -> None:
    assert client.get("/statistics", headers=bearer(login(client))).json == {}
    for path, headers in (("/statistics", bearer(login(client, BOB))), ("/export", bearer(login(client)))):
        refused = client.get(path, headers=headers)
        assert refused.status_code == 403
        assert refused.json is not None
        assert refused.json["error"] == "insufficient_scope"


def test_a_page_gets_its_refresh_token_in_a_cookie(client: FlaskClient) -> None:
    answer = client.post("/auth/login", json={**ADA, "transport": "cookie"})
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert client.post("/auth/refresh").status_code == 200
    assert client.post("/auth/refresh", headers={"Origin": "https://evil.example"}).status_code == 403


def test_bad_input_is_answered_as_anywhere(client: FlaskClient) -> None:
    assert client.get("/auth/login").status_code == 405
    assert client.put("/auth/login").status_code == 405
    assert client.head("/auth/tenure.js").status_code == 200
    assert client.post("/auth/login", data=b"x" * 70_000, content_type="application/json").status_code == 413
    assert client.post("/auth/login", data=b"{", content_type="application/json").status_code == 400
    assert client.get("/nothing").status_code == 404
    wrong = client.get("/notes", headers={"Authorization": "Bearer rubbish"})
    assert wrong.status_code == 401


def test_several_applications_in_one_process(tmp_path: Path, client: FlaskClient) -> None:
    other = flask_notes.create_app(f"sqlite:///{tmp_path}/other.db")
    pair = login(client)
    assert client.get("/auth/sessions", headers=bearer(pair)).status_code == 200
    assert other.test_client().get("/auth/sessions", headers=bearer(pair)).status_code == 401
    flask_notes.sessions.tenure(other).close()


def test_an_application_with_its_own_login(tmp_path: Path) -> None:
    app = Flask("own")
    app.config.update(
        TENURE_STORE=f"sqlite:///{tmp_path}/own.db",
        TENURE_SECRET="s" * 32,
        TENURE_ISSUER="http://127.0.0.1:5000",
        TENURE_AUDIENCE="own",
    )
    sessions = Sessions(app)

    @app.post("/login")
    def own_login() -> Any:
        return sessions.answer(sessions.tenure().login("ada", device="own"))

    @app.get("/me")
    @session_required
    def me() -> Any:
        return {"me": current_session.subject}

    client = app.test_client()
    answer = client.post("/login")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert client.get("/me", headers=bearer(dict(answer.json or {}))).json == {"me": "ada"}
    assert client.post("/auth/login", json=ADA).status_code == 404
    with app.test_request_context("/"), pytest.raises(InvalidAccessToken):
        assert current_session.subject
    sessions.tenure(app).close()


def test_what_is_not_configured_is_said() -> None:
    with pytest.raises(ConfigurationError, match="TENURE_STORE, TENURE_SECRET"):
        Sessions(Flask("bare"))


def test_each_process_opens_the_store_for_itself(app: Flask, tmp_path: Path) -> None:
    """As a server with workers that were forked after the application was used."""
    before = flask_notes.sessions.tenure(app)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        done = b"no"
        try:
            token = flask_notes.sessions.tenure(app).login("bob").refresh_token
            done = b"yes" if flask_notes.sessions.tenure(app).refresh(token) else b"no"
        finally:
            os.write(writing, done)
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 3) == b"yes"
    for end in (reading, writing):
        os.close(end)
    assert flask_notes.sessions.tenure(app) is before


def test_a_bound_session_is_used_with_proofs(client: FlaskClient) -> None:
    only_the_owner_reads_the_notes(
        lambda method, path, headers: client.open(
            path, method=method, headers=headers, json=ADA if method == "POST" else None
        )
    )


def test_changing_the_mail_address_asks_for_the_password_after_five_minutes(
    client: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = login(client)
    assert client.put("/mail", data="ada@example.com", headers=bearer(pair)).status_code == 200
    issuer = app.extensions["tenure"].tenure.issuer
    now = issuer.now()
    monkeypatch.setattr(issuer, "_clock", lambda: now + 301)
    refused = client.put("/mail", data="eve@example.com", headers=bearer(pair))
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].endswith("max_age=300")
    body = {"username": "ada", "password": "correct horse battery"}
    assert client.post("/auth/step-up", json=body, headers=bearer(pair)).status_code == 200
    newer = client.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]}).json
    assert client.put("/mail", data="new@example.com", headers=bearer(newer)).status_code == 200
