"""The OpenAPI document matches the endpoints: by its table of paths, and by what a running service answers."""

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tenure.http.openapi import DESCRIPTION
from tenure.http.routes import ROUTES
from tests.service.conftest import Api
from tests.service.process import PASSWORD, service, tenure


def test_it_describes_every_endpoint_and_no_other() -> None:
    described = {path: {method.upper() for method in item} for path, item in DESCRIPTION["paths"].items()}
    assert described == {path: set(endpoints) for path, endpoints in ROUTES.items()}


def test_it_names_the_service(api: Api) -> None:
    document = api.get("/openapi.json").json()
    assert document["servers"] == [{"url": "https://app.example.com"}]
    assert document["openapi"] == "3.1.0"


@pytest.mark.parametrize("identity", ["nobody", "api_key", "access_token"])
def test_the_service_does_what_it_says(tmp_path: Path, identity: str) -> None:
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    api_key = tenure(tmp_path, "api-keys", "add", "backend").stdout.strip()
    with service(tmp_path) as url:
        login = httpx2.post(f"{url}/auth/login", json={"username": "ada", "password": PASSWORD}).json()
        credential = {"nobody": "", "api_key": api_key, "access_token": login["access_token"]}[identity]
        program, config = Path(sys.executable).with_name("schemathesis"), Path(__file__).with_name("schemathesis.toml")
        command = [
            program, "--config-file", config, "run", f"{url}/openapi.json", "--url", url,
            "--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--generation-deterministic",
        ]  # fmt: skip
        if credential:
            command += ["-H", f"Authorization: Bearer {credential}"]
        if identity == "access_token":
            command += ["--include-method", "GET"]  # the others would end the session that is tested with
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout[-5000:]
        assert "Tested: " in done.stdout
        assert "500 Internal" not in (tmp_path / "service.log").read_text()
