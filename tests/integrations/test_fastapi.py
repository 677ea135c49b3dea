"""The example with FastAPI, and the one with Starlette, used as their people and their front ends use them."""

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from examples import fastapi_notes, starlette_notes
from tests.integrations.bound import only_the_owner_reads_the_notes
from tests.service.process import free_port

ADA = {"username": "ada", "password": "correct horse battery"}
BOB = {"username": "bob", "password": "staple of the horse"}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("NOTES_STORE", f"sqlite:///{tmp_path}/notes.db")
    importlib.reload(fastapi_notes)
    with TestClient(fastapi_notes.app, base_url="http://127.0.0.1:8000") as opened:
        yield opened


def login(client: TestClient, who: dict[str, str] = ADA, **more: str) -> dict[str, Any]:
    answer = client.post("/auth/login", json={**who, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def bearer(pair: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access_token']}"}


def test_a_person_logs_in_writes_refreshes_and_leaves(client: TestClient) -> None:
    refused = client.get("/notes")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="tenure"'
    pair = login(client)
    assert client.post("/notes", params={"text": "first"}, headers=bearer(pair)).json() == ["first"]
    pair = client.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]}).json()
    assert client.get("/notes", headers=bearer(pair)).json() == ["first"]
    assert client.get("/notes", headers=bearer(login(client, BOB))).json() == []
    assert client.post("/auth/logout", json={"refresh_token": pair["refresh_token"]}).status_code == 204
    ended = client.get("/notes", headers=bearer(pair))
    assert (ended.status_code, ended.json()["reason"]) == (401, "revoked")


def test_a_page_gets_its_refresh_token_in_a_cookie(client: TestClient) -> None:
    answer = client.post("/auth/login", json={**ADA, "transport": "cookie"})
    assert "refresh_token" not in answer.json()
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert client.post("/auth/refresh").status_code == 200
    assert client.get("/auth/tenure.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.asvs("10.3.2")
def test_roles_and_scopes(client: TestClient) -> None:
    assert client.get("/statistics", headers=bearer(login(client))).json() == {}
    for path, headers in (("/statistics", bearer(login(client, BOB))), ("/export", bearer(login(client)))):
        refused = client.get(path, headers=headers)
        assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
        assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


def test_the_openapi_page_knows_how_to_authorize(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["paths"]["/notes"]["get"]["security"] == [{"access_token": []}]
    assert document["paths"]["/export"]["get"]["security"] == [{"access_token": ["notes:export"]}]
    scheme = document["components"]["securitySchemes"]["access_token"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert "/auth/login" in document["paths"]
    assert "/oauth/token" not in document["paths"]
    assert "#/components/schemas/TenureTokenPair" in str(document["paths"]["/auth/login"])
    assert set(_references(document)) <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert "swagger" in client.get("/docs").text


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


@pytest.mark.parametrize("by_subprotocol", [True, False])
def test_a_websocket_is_closed_when_its_session_ends(client: TestClient, by_subprotocol: bool) -> None:
    pair = login(client)
    how: dict[str, Any] = {"headers": bearer(pair)}
    if by_subprotocol:
        how = {"subprotocols": ["bearer", pair["access_token"]]}
    with client.websocket_connect("/live", **how) as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "ada: hello"
        assert client.delete(f"/auth/sessions/{pair['session_id']}", headers=bearer(login(client))).status_code == 204
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_text()
    assert closed.value.code == 4401


def test_a_websocket_without_a_token_is_refused(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/live"):
        pass
    assert refused.value.code == 1008


def test_what_was_waited_for_is_forgotten(client: TestClient) -> None:
    pair = login(client)
    with client.websocket_connect("/live", headers=bearer(pair)):
        pass
    assert fastapi_notes.auth.issuer.checker._waiting == {}


def test_it_runs_in_a_server(tmp_path: Path) -> None:
    """`uvicorn examples.fastapi_notes:app`, as its first line says."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "examples.fastapi_notes:app", "--port", str(port)]
    settings = {**os.environ, "NOTES_STORE": f"sqlite:///{tmp_path}/notes.db"}
    process = subprocess.Popen(command, env=settings, cwd=Path(__file__).parent.parent.parent)
    try:
        for _ in range(200):
            try:
                pair = httpx2.post(f"http://127.0.0.1:{port}/auth/login", json=ADA).json()
                break
            except httpx2.TransportError:
                time.sleep(0.05)
        assert httpx2.get(f"http://127.0.0.1:{port}/notes", headers=bearer(pair)).json() == []
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def starlette(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("NOTES_STORE", f"sqlite:///{tmp_path}/notes.db")
    importlib.reload(starlette_notes)
    with TestClient(starlette_notes.app, base_url="http://127.0.0.1:8000") as opened:
        yield opened


def test_starlettes_own_middleware_knows_who_it_is(starlette: TestClient) -> None:
    assert starlette.get("/whoami").status_code == 401
    answer = starlette.post("/login", json={"name": "ada"})
    assert "refresh_token" not in answer.json()
    assert "HttpOnly" in answer.headers["set-cookie"]
    headers = bearer(answer.json())
    assert starlette.get("/whoami", headers=headers).json() == {"user": "ada"}
    assert starlette.post("/auth/login", json=ADA).status_code == 404  # it has its own
    wrong = starlette.get("/whoami", headers={"Authorization": "Bearer rubbish"})
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_token")
    assert starlette.post("/auth/refresh").status_code == 200
    starlette.post("/auth/logout")
    assert starlette.get("/whoami", headers=headers).json()["reason"] == "revoked"


def test_a_bound_session_is_used_with_proofs(client: TestClient) -> None:
    only_the_owner_reads_the_notes(
        lambda method, path, headers: client.request(
            method, path, headers=headers, json=ADA if method == "POST" else None
        )
    )


def test_changing_the_mail_address_asks_for_the_password_after_five_minutes(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = login(client)
    assert client.put("/mail?address=ada@example.com", headers=bearer(pair)).json() == "ada@example.com"
    now = fastapi_notes.auth.issuer.now()
    monkeypatch.setattr(fastapi_notes.auth.issuer, "_clock", lambda: now + 301)
    refused = client.put("/mail?address=eve@example.com", headers=bearer(pair))
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].endswith("max_age=300")
    assert (refused.json()["error"], refused.json()["max_age"]) == ("insufficient_user_authentication", 300)
    body = {"username": "ada", "password": "correct horse battery"}
    assert client.post("/auth/step-up", json=body, headers=bearer(pair)).status_code == 200
    newer = client.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]}).json()
    assert client.put("/mail?address=new@example.com", headers=bearer(newer)).status_code == 200
