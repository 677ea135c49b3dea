"""FastAPI's full-stack template after it was moved over (examples/fastapi_template.py), in a real Chromium: its Swagger
page, and its front end's libraries."""

import functools
import importlib
import re
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import jwt
import pytest
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

import tenure
from tests.client.browser import NODE, ROOT, node, serving
from tests.client.live import IMPORTS
from tests.conftest import Clock
from tests.service.process import free_port

FRONT = (
    f"<!doctype html>{IMPORTS}<script>"
    "process = { env: {} } /* a bundler's */; went = []; navigate = (to) => went.push(to)</script>"
    "<script type=module>import axios from 'axios';"
    " globalThis.front = { axios, ...(await import('/control/fastapi_template.js')) }</script>"
)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[ModuleType, str, int]:
    """The example, with a clock of the test's."""
    port = free_port()
    monkeypatch.setenv("NOTES_STORE", f"sqlite:///{tmp_path}/notes.db")
    monkeypatch.setenv("NOTES_ISSUER", f"http://127.0.0.1:{port}")
    clock = Clock(time.time())
    monkeypatch.setattr(tenure, "Tenure", functools.partial(tenure.Tenure, clock=clock))
    loaded = importlib.reload(importlib.import_module("examples.fastapi_template"))
    loaded.clock = clock  # type: ignore[attr-defined]
    return loaded, f"http://127.0.0.1:{port}", port


def test_by_its_addresses(module: tuple[ModuleType, str, int]) -> None:
    example, site, _ = module
    with TestClient(example.app, site) as client:
        form = {"username": "ada@example.com", "password": "correct horse battery"}
        assert client.get("/api/v1/users/me").status_code == 401
        assert client.post("/api/v1/login/access-token", data={**form, "password": "x"}).status_code == 400
        answer = client.post("/api/v1/login/access-token", data=form)
        assert answer.json()["token_type"] == "Bearer"
        assert "Path=/api/v1/auth;" in answer.headers["set-cookie"]
        ada = {"authorization": f"Bearer {answer.json()['access_token']}"}
        assert client.get("/api/v1/users/me", headers=ada).json()["email"] == "ada@example.com"
        flows = client.get("/openapi.json").json()["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]
        assert flows["password"]["tokenUrl"] == "/api/v1/login/access-token"
        renewed = client.post("/api/v1/auth/refresh", json={}, headers={"origin": site})
        assert renewed.status_code == 200
        bob = client.post(
            "/api/v1/auth/login", json={**form, "username": "bob@example.com", "transport": "body"}
        ).json()
        token = {"authorization": f"Bearer {bob['access_token']}"}
        assert client.patch("/api/v1/users/1/deactivate", headers=token).status_code == 403
        assert client.patch("/api/v1/users/2/deactivate", headers=ada).json()["is_active"] is False
        assert client.get("/api/v1/users/me", headers=token).status_code == 401
        refused = client.post("/api/v1/auth/refresh", json={"refresh_token": bob["refresh_token"]})
        assert refused.json()["error"] == "invalid_grant"


def test_a_token_of_before_is_exchanged_once(module: tuple[ModuleType, str, int]) -> None:
    example, site, _ = module
    soon = int(time.time()) + 600

    def old(**claims: Any) -> dict[str, str]:
        said = {"sub": "1", "exp": soon, **claims}
        return {"authorization": f"Bearer {jwt.encode(said, example.SECRET_KEY, 'HS256')}"}

    with TestClient(example.app, site) as client:
        for headers in (old(sub="9"), old(exp=1), {"authorization": "Bearer x"}, {}):
            assert client.post("/api/v1/login/exchange", headers=headers).status_code == 401
        for _ in range(2):  # the first response may have been lost
            answer = client.post("/api/v1/login/exchange", headers=old())
            assert answer.status_code == 200
        assert len(example.auth.sessions("1")) == 1
        assert client.post("/api/v1/auth/refresh", json={}, headers={"origin": site}).status_code == 200
        again = client.post("/api/v1/login/exchange", headers=old())
        assert again.json()["error"] == "invalid_grant"


def test_in_a_browser(module: tuple[ModuleType, str, int]) -> None:
    example, site, port = module
    app = example.app

    @app.get("/control/docs")
    def docs() -> HTMLResponse:
        own = "/control/npm/swagger-ui-dist/swagger-ui"
        return get_swagger_ui_html(
            openapi_url="/openapi.json", title="x", swagger_js_url=f"{own}-bundle.js", swagger_css_url=f"{own}.css"
        )

    @app.get("/control/front")
    def front() -> HTMLResponse:
        return HTMLResponse(FRONT)

    @app.get("/control/later")
    def later() -> None:
        example.clock.advance(601)

    @app.get("/control/old")
    def old() -> str:
        return jwt.encode({"sub": "1", "exp": int(time.time()) + 600}, example.SECRET_KEY, "HS256")

    @app.get("/control/end")
    def end() -> None:
        example.auth.revoke_all("1")

    app.mount("/control/npm", StaticFiles(directory=NODE / "node_modules"))
    app.mount("/control", StaticFiles(directory=ROOT / "examples"))
    with serving(app, port):
        told = node("--test", "--test-reporter=tap", "--test-timeout=60000", "template.test.mjs", SITE=site)
    assert re.search(r"^# fail 0$", told, re.M)
    assert re.search(r"^# pass 5$", told, re.M)
