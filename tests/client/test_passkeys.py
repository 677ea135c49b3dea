"""A passkey logs in, and tenure keeps people logged in (examples/passkeys.py), in a real Chromium."""

import importlib
import re
from pathlib import Path

import pytest

from tests.client.browser import node, serving
from tests.service.process import free_port


def test_passkeys_in_a_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    port = free_port()
    site = f"http://localhost:{port}"
    monkeypatch.setenv("NOTES_STORE", f"sqlite:///{tmp_path}/notes.db")
    monkeypatch.setenv("NOTES_ISSUER", site)
    app = importlib.reload(importlib.import_module("examples.passkeys")).app
    with serving(app, port, "localhost"):
        told = node("--test", "--test-reporter=tap", "--test-timeout=30000", "passkeys.test.mjs", SITE=site)
    assert re.search(r"^# fail 0$", told, re.M)
    assert re.search(r"^# pass 5$", told, re.M)
