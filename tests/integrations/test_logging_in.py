"""A link by mail logs in, and tenure keeps people logged in (examples/magic_links.py)."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from starlette.testclient import TestClient

NAVIGATES = {"accept": "text/html", "sec-fetch-mode": "navigate"}


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[TestClient, list[str], ModuleType]]:
    monkeypatch.setenv("NOTES_STORE", f"sqlite:///{tmp_path}/notes.db")
    module = importlib.reload(importlib.import_module("examples.magic_links"))
    sent: list[str] = []
    monkeypatch.setattr(module, "mail", lambda address, text: sent.append(f"{address} {text}"))
    with TestClient(module.app, "http://127.0.0.1:8000", headers=NAVIGATES) as client:
        yield client, sent, module


def token_of(mail: str) -> str:
    found = re.search(r"/link\?token=(\S+)", mail)
    assert found is not None
    return found[1]


def test_a_link_logs_in_once(mails: tuple[TestClient, list[str], ModuleType]) -> None:
    client, sent, _ = mails
    assert client.get("/", follow_redirects=False).status_code == 303
    client.post("/enter", data={"email": "Ada@example.com"})
    (mail,) = sent
    assert mail.startswith("Ada@example.com ")
    token = token_of(mail)
    for _ in range(2):  # programs that check mail open it, too
        assert "Log in" in client.get(f"/link?token={token}").text
    assert "Hello ada@example.com" in client.post("/link", data={"token": token}).text
    again = client.post("/link", data={"token": token})
    assert (again.status_code, "too old" in again.text) == (400, True)


def test_a_link_that_is_too_old_or_was_made_up_is_refused(
    mails: tuple[TestClient, list[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, sent, module = mails
    client.post("/enter", data={"email": "ada@example.com"})
    later = module.time.time() + module.LASTS_SECONDS + 1
    monkeypatch.setattr(module.time, "time", lambda: later)
    for token in (token_of(sent[0]), "made-up", '"><script>'):
        assert client.post("/link", data={"token": token}).status_code == 400
    assert "<script>" not in client.get("/link", params={"token": '"><script>'}).text
