"""A provider logs in, and tenure keeps people logged in (examples/openid_connect.py), in a real Chromium."""

import importlib
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.testclient import TestClient

from tests.client.browser import BIN, NODE, node, serving
from tests.service.process import free_port

Example = Callable[..., ModuleType]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Example:
    def load(**settings: str) -> ModuleType:
        monkeypatch.setenv("NOTES_STORE", f"sqlite:///{tmp_path}/notes.db")
        for name, value in settings.items():
            monkeypatch.setenv(f"NOTES_{name.upper()}", value)
        return importlib.reload(importlib.import_module("examples.openid_connect"))

    return load


def test_a_provider_in_a_browser(example: Example) -> None:
    ours, theirs = free_port(), free_port()
    site, provider = f"http://127.0.0.1:{ours}", f"http://localhost:{theirs}"
    command = [BIN / "node", NODE / "provider.mjs", str(theirs), site]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        while "ready" not in process.stdout.readline():
            assert process.poll() is None
        try:
            with serving(example(issuer=site, provider=provider).app, ours):
                told = node(
                    "--test",
                    "--test-reporter=tap",
                    "--test-timeout=60000",
                    "openid.test.mjs",
                    SITE=site,
                    PROVIDER=provider,
                )
        finally:
            process.kill()
            process.stdout.close()
    assert re.search(r"^# fail 0$", told, re.M)
    assert re.search(r"^# pass 3$", told, re.M)


KEY = ECKey.generate_key("P-256", {"kid": "1"})


@pytest.fixture
def module(example: Example) -> ModuleType:
    """The example, which knows KEY for the provider's."""
    loaded = example(provider="http://localhost:1")
    loaded.provider.server_metadata = {
        "_loaded_at": time.time(),
        "issuer": "http://localhost:1",
        "jwks": {"keys": [KEY.as_dict(private=False)]},
        "id_token_signing_alg_values_supported": ["ES256"],
    }
    return loaded


def logout_token(key: ECKey = KEY, **changes: Any) -> str:
    said = {
        "iss": "http://localhost:1",
        "aud": "notes",
        "iat": int(time.time()),
        "exp": int(time.time()) + 120,
        "jti": "one",
        "sub": "ada",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        **changes,
    }
    header = {"alg": "ES256", "kid": "1"}
    return jwt.encode(header, {name: value for name, value in said.items() if value is not None}, key)


def told(client: TestClient, token: str) -> int:
    return client.post("/backchannel-logout", data={"logout_token": token}).status_code


def test_a_logout_token_ends_what_it_names(module: ModuleType) -> None:
    with TestClient(module.app) as client:
        assert client.portal is not None
        login = client.portal.call
        first, second = (login(module.auth.login, "ada").session_id for _ in range(2))
        other = login(module.auth.login, "bob").session_id
        module.STARTED.update({"p1": [first], "p2": [second]})

        def live() -> set[str]:
            return {one.id for name in ("ada", "bob") for one in login(module.auth.sessions, name)}

        assert told(client, logout_token(sid="p1")) == 200
        assert live() == {second, other}
        assert told(client, logout_token(sid="p1")) == 400  # the same token once more
        assert told(client, logout_token(sid="p1", jti="two")) == 200  # already at an end
        assert told(client, logout_token(jti="three")) == 200
        assert live() == {other}


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://localhost:2"},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"iat": 0},
        {"iat": "now"},
        {"exp": 1},
        {"jti": None},
        {"events": {}},
        {"events": None},
        {"nonce": "x"},
        {"sub": None},
        {"key": ECKey.generate_key("P-256", {"kid": "1"})},
    ],
)
def test_a_logout_token_that_is_not_good_ends_nothing(module: ModuleType, changes: dict[str, Any]) -> None:
    with TestClient(module.app) as client:
        assert client.portal is not None
        client.portal.call(module.auth.login, "ada")
        assert told(client, logout_token(**changes)) == 400
        assert told(client, "nonsense") == 400
        assert len(client.portal.call(module.auth.sessions, "ada")) == 1


def test_a_login_that_the_provider_refuses_or_nobody_began_is_told(module: ModuleType) -> None:
    with TestClient(module.app) as client:
        assert client.get("/callback?error=access_denied").status_code == 400
        assert client.get("/callback?code=x&state=made-up").status_code == 400
