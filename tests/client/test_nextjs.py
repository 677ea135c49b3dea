"""A Next.js app in front of a FastAPI one (examples/nextjs), built as for production, in a real Chromium."""

import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from tenure import AsyncTenure
from tenure.integrations.fastapi import CurrentUser, Sessions, add_sessions
from tests.client.browser import BIN, NODE, ROOT, installed_module, node, serving
from tests.conftest import SECRET, Clock
from tests.service.process import free_port

APP = NODE / "nextjs"


def api(folder: Path, site: str, clock: Clock, seen: Counter[str]) -> FastAPI:
    """The application behind the site. `seen` counts what happens to sessions."""
    auth = AsyncTenure(
        f"sqlite:///{folder}/notes.db",
        secret=SECRET,
        issuer=site,
        audience="notes",
        clock=clock,
        on_event=lambda event: seen.update([event.kind]),
    )

    class People:
        def authenticate(self, username: str, password: str) -> str | None:
            return username if password == "correct horse battery" else None

    sessions = Sessions(auth, authenticator=People(), login_page="/login")
    app = FastAPI(lifespan=sessions.lifespan)
    add_sessions(app, sessions)

    @app.get("/api/notes/{number}")
    async def note(number: int, user: CurrentUser) -> dict[str, str]:
        return {"text": f"note {number} of {user}"}

    @app.get("/control/{command}")
    async def control(command: str, request: Request) -> dict[str, int]:
        if command == "later":
            clock.advance(float(request.query_params["seconds"]))
        if command == "end":
            await auth.revoke_all("ada")
        return dict(seen)

    return app


def build(service: str) -> None:
    """Build the app. Its rewrites are part of what is built."""
    installed_module()
    shutil.rmtree(APP, ignore_errors=True)
    shutil.copytree(ROOT / "examples" / "nextjs", APP)
    # The packages are in the folder above, which Next.js would not look into by itself.
    root = f"turbopack: {{ root: {str(NODE)!r} }},\n  outputFileTracingRoot: {str(NODE)!r},"
    change(APP / "next.config.js", "export default {", root)
    # The clock is the test's.
    change(APP / "sessions.js", "service: API,", "clock: () => Date.now() + (globalThis.ahead ?? 0),")
    ahead = "globalThis.ahead = Number(request.headers.get('x-test-ahead'))"
    change(APP / "proxy.js", "export async function proxy(request) {", ahead)
    command = [BIN / "node", NODE / "node_modules/next/dist/bin/next", "build"]
    environment = {"NEXT_TELEMETRY_DISABLED": "1", "PATH": os.environ["PATH"], "HOME": str(APP), "API": service}
    done = subprocess.run(command, cwd=APP, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def change(file: Path, line: str, more: str) -> None:
    """Put more after a line of a file."""
    text = file.read_text()
    assert line in text
    file.write_text(text.replace(line, f"{line}\n  {more}"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Where the site and the API are."""
    port, behind = free_port(), free_port()
    address, service = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{behind}"
    build(service)
    app = api(tmp_path, address, Clock(time.time()), Counter())
    with serving(app, behind):
        yield address, service


def test_parallel_renders_at_expiry(site: tuple[str, str], tmp_path: Path) -> None:
    told = node("--test", "--test-reporter=tap", "--test-timeout=120000", "nextjs.test.mjs", SITE=site[0], API=site[1])
    assert re.search(r"^# fail 0$", told, re.M)
    assert re.search(r"^# pass 6$", told, re.M)
