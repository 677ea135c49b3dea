"""From Flask-JWT-Extended to tenure: the front end stays as it is, and people stay logged in."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, get_jwt_identity, jwt_required

from tenure.integrations.flask import Sessions, current_session, session_required
from tenure.integrations.flask_jwt_extended import refreshed

BLOCKED: set[str] = set()


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[tuple[FlaskClient, FlaskClient, Sessions]]:
    """The application before and after it was moved, with the same key."""
    common = {"JWT_SECRET_KEY": "the-projects-old-key-0123456789-abcdefgh", "JWT_REFRESH_TOKEN_EXPIRES": 3600}
    BLOCKED.clear()

    before = flask.Flask("before")
    before.config.update(common)
    JWTManager(before)

    @before.post("/login")
    def login() -> dict[str, str]:
        name = flask.request.get_json()["name"]
        return {"access_token": create_access_token(name), "refresh_token": create_refresh_token(name)}

    @before.post("/refresh")
    @jwt_required(refresh=True)
    def refresh() -> dict[str, str]:
        return {"access_token": create_access_token(get_jwt_identity())}

    after = flask.Flask("after")
    after.config.update(common, TENURE_STORE=f"sqlite:///{tmp_path}/app.db", TENURE_SECRET="s" * 40)
    after.config.update(TENURE_ISSUER="http://127.0.0.1:8000", TENURE_AUDIENCE="app")
    manager = JWTManager(after)
    sessions = Sessions()
    sessions.init_app(after)

    @manager.token_in_blocklist_loader
    def blocked(_: Any, claims: dict[str, Any]) -> bool:
        return claims["jti"] in BLOCKED

    @after.post("/refresh")
    def either() -> flask.Response:
        return refreshed(sessions)

    @after.get("/me")
    @session_required
    def me() -> dict[str, str]:
        return {"user": current_session.subject}

    yield before.test_client(), after.test_client(), sessions
    sessions.tenure(after).close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_everybody_stays_logged_in(sites: tuple[FlaskClient, FlaskClient, Sessions]) -> None:
    before, after, _ = sites
    old = before.post("/login", json={"name": "ada"}).get_json()
    assert after.get("/me", headers=bearer(old["access_token"])).status_code == 401  # as if it had expired
    token = old["refresh_token"]
    for _ in range(3):
        answer = after.post("/refresh", headers=bearer(token))
        assert answer.status_code == 200
        assert after.get("/me", headers=bearer(answer.get_json()["access_token"])).get_json() == {"user": "ada"}
        token = answer.get_json()["refresh_token"]
        assert token.startswith("tnr1_")


def test_a_lost_response_costs_nothing_and_a_used_token_is_refused(
    sites: tuple[FlaskClient, FlaskClient, Sessions],
) -> None:
    before, after, sessions = sites
    old = before.post("/login", json={"name": "ada"}).get_json()["refresh_token"]
    after.post("/refresh", headers=bearer(old))
    new = after.post("/refresh", headers=bearer(old)).get_json()["refresh_token"]
    with after.application.app_context():
        assert len(sessions.tenure().sessions("ada")) == 1
    assert after.post("/refresh", headers=bearer(new)).status_code == 200
    refused = after.post("/refresh", headers=bearer(old))
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_grant")


def test_what_flask_jwt_extended_refuses_is_refused(sites: tuple[FlaskClient, FlaskClient, Sessions]) -> None:
    before, after, sessions = sites
    old = before.post("/login", json={"name": "ada"}).get_json()
    with before.application.app_context():
        expired = create_refresh_token("ada", expires_delta=datetime.timedelta(seconds=-1))
        another = create_refresh_token("eve")
    statuses = [
        after.post("/refresh", headers=bearer(token)).status_code for token in (old["access_token"], expired, "x")
    ]
    assert statuses == [422, 401, 422]
    assert after.post("/refresh").status_code == 401
    from flask_jwt_extended import decode_token

    with before.application.app_context():
        BLOCKED.add(decode_token(another)["jti"])
    assert after.post("/refresh", headers=bearer(another)).status_code == 401
    with after.application.app_context():
        assert sessions.tenure().sessions("ada") == sessions.tenure().sessions("eve") == ()


def test_a_stolen_token_of_tenure_ends_its_session(sites: tuple[FlaskClient, FlaskClient, Sessions]) -> None:
    before, after, sessions = sites
    old = before.post("/login", json={"name": "ada"}).get_json()["refresh_token"]
    first = after.post("/refresh", headers=bearer(old)).get_json()["refresh_token"]
    token = first
    for _ in range(3):
        token = after.post("/refresh", headers=bearer(token)).get_json()["refresh_token"]
    assert after.post("/refresh", headers=bearer(first)).status_code == 400
    with after.application.app_context():
        assert sessions.tenure().sessions("ada") == ()
