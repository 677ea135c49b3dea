"""The demo's page works as a person would use it, and its channel exists in a demo and nowhere else."""

import re
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner

from tenure.cli.commands import tenure as command
from tests.client.browser import node
from tests.service.process import service

CHANNEL = ["/", "/demo/page.js", "/demo/page.css", "/demo/family.js"]
SECRETS = ["/auth/demo/token", "/auth/demo/account", "/auth/demo/sessions", "/auth/demo/events"]


def test_the_page(tmp_path: Path) -> None:
    with service(tmp_path, "--demo", "--access-ttl", "3", "--leeway", "0") as url:
        told = node("--test", "--test-reporter=tap", "page.test.mjs", URL=url)
        assert re.search(r"^# fail 0$", told, re.M)
        assert re.search(r"^# pass 9$", told, re.M)
        token = httpx2.get(f"{url}/auth/demo/token", headers={"Cookie": "tenure-refresh=tnr1_x"}).json()
        assert token == {"refresh_token": "tnr1_x"}


def test_without_the_demo_there_is_neither_page_nor_channel(tmp_path: Path) -> None:
    with service(tmp_path) as url:
        for path in CHANNEL + SECRETS:
            answer = httpx2.get(f"{url}{path}", headers={"Cookie": "tenure-refresh=tnr1_x"})
            assert (answer.status_code, answer.json()["error"]) == (404, "invalid_request"), path
        assert httpx2.post(f"{url}/auth/demo/lose").status_code == 404


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--host", "0.0.0.0", "--issuer", "https://app.example.com"], "must stay secret"),
        (["--issuer", "https://app.example.com"], "must stay secret"),
        (["--no-cookies"], "must stay secret"),
        (["--workers", "2"], "one worker"),
        (["--authenticator", "x:y"], "embedded accounts"),
    ],
)
def test_a_demo_is_for_this_machine_alone(
    flags: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["serve", "--demo", *flags])
    assert result.exit_code == 1
    assert why in result.output
