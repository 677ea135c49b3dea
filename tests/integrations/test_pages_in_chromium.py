"""The pages of page_sites.py on a real server, in a real Chromium whose scripts are switched off."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

import pytest
import uvicorn

from tests.client.browser import node
from tests.conftest import Clock
from tests.integrations.page_sites import APPS
from tests.service.process import free_port


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(kind: str, app: Any, port: int) -> Iterator[None]:
    if kind == "fastapi":
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        yield
        server.should_exit = True
        thread.join()
        return
    from werkzeug.serving import make_server

    wsgi = make_server("127.0.0.1", port, app, threaded=True)
    threading.Thread(target=wsgi.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield
    wsgi.shutdown()
    wsgi.server_close()


@pytest.mark.parametrize("kind", APPS)
def test_pages_without_scripts(kind: str, tmp_path: Path, clock: Clock) -> None:
    port = free_port()
    with APPS[kind](tmp_path, clock, f"http://127.0.0.1:{port}") as app, served(kind, app, port):
        told = node("--test", "--test-reporter=tap", "pages.test.mjs", PORT=str(port))
    assert re.search(r"^# fail 0$", told, re.M)
    assert re.search(r"^# pass 10$", told, re.M)
