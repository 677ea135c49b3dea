"""A passkey logs in, and tenure keeps people logged in (examples/passkeys.py), in a real Chromium."""

import importlib
import re
import threading
from pathlib import Path

import pytest
import uvicorn

from tests.client.browser import node
from tests.service.process import free_port


def test_passkeys_in_a_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    port = free_port()
    site = f"http://localhost:{port}"
    monkeypatch.setenv("NOTES_STORE", f"sqlite:///{tmp_path}/notes.db")
    monkeypatch.setenv("NOTES_ISSUER", site)
    app = importlib.reload(importlib.import_module("examples.passkeys")).app
    server = uvicorn.Server(uvicorn.Config(app, host="localhost", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        told = node("--test", "--test-reporter=tap", "--test-timeout=30000", "passkeys.test.mjs", SITE=site)
    finally:
        server.should_exit = True
        thread.join()
    assert re.search(r"^# fail 0$", told, re.M)
    assert re.search(r"^# pass 5$", told, re.M)
