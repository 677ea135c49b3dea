"""How many instructions a refresh takes, counted by Valgrind: the same on a noisy machine as on a quiet one.

A process makes some refreshes through all layers, from the ASGI message to the memory store and back. The difference
between a run with few and a run with many, divided by the difference in their numbers, leaves out start and imports.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlencode

from benchmarks.report import SETTINGS, report
from tenure import AsyncTenure
from tenure.http.clients import add_client
from tenure.http.cookies import CookieTransport
from tenure.http.rate_limits import RateLimits
from tenure.http.service import Service
from tenure.integrations.asgi import application
from tenure.server.accounts import Accounts

FEW, MANY = 50, 300
LIMIT = 960_000
"""A tenth more than a refresh took when this was written. CI fails beyond it."""


async def refreshes(number: int) -> None:
    """So many refreshes over ASGI, one after the other."""
    async with AsyncTenure("memory://", **SETTINGS, poll=3600) as auth:
        await auth.run(add_client("app", os.urandom, public=True))
        cookies = CookieTransport("https://api.example.com")
        app = application(auth, Service(auth.issuer, Accounts(auth.store), RateLimits(), cookies))
        latest = (await auth.login("user-42", client_id="app")).refresh_token
        scope = {
            "type": "http", "method": "POST", "path": "/oauth/token", "raw_path": b"/oauth/token", "query_string": b"",
            "headers": [(b"content-type", b"application/x-www-form-urlencoded")], "client": ("127.0.0.1", 1),
            "root_path": "", "scheme": "http", "http_version": "1.1", "server": ("127.0.0.1", 80),
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            form = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": latest}
            return {"type": "http.request", "body": urlencode(form).encode(), "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal latest
            if message["type"] == "http.response.body":
                latest = json.loads(message["body"])["refresh_token"]

        for _ in range(number):
            await app(dict(scope), receive, send)


def counted(number: int) -> int:
    """The instructions of a process that makes so many refreshes."""
    command = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        sys.executable,
        "-m",
        __name__,
        str(number),
    ]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONMALLOC": "pymalloc"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


def a_refresh() -> float:
    """Instructions of one refresh."""
    return (counted(MANY) - counted(FEW)) / (MANY - FEW)


def main() -> None:
    if shutil.which("valgrind") is None:
        print("Valgrind is not here: instructions are not counted.", file=sys.stderr)
        return
    found = round(a_refresh())
    report("instructions of a refresh, memory store, through ASGI", value=found, limit=LIMIT)
    if found > LIMIT:
        sys.exit(f"A refresh takes {found:,} instructions, more than {LIMIT:,}.")


if __name__ == "__main__":
    asyncio.run(refreshes(int(sys.argv[1])))
