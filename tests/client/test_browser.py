"""The browser module: in a real Chromium, and its state machine in Node's own test runner."""

import gzip
import json
import os
import re
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.client.browser import BIN, ROOT, installed_module, node
from tests.client.live import Live

AT_LEAST = {"browser": 20, "module": 5, "beside": 9, "bound": 4, "devices": 11, "server": 15, "client": 13}


@pytest.mark.parametrize("suite", AT_LEAST)
def test_every_test_in_node_passes(live: Live, suite: str) -> None:
    installed_module()
    told = node("--test", "--test-reporter=tap", f"{suite}.test.mjs", URL=live.url)
    assert re.search(r"^# fail 0$", told, re.M)
    assert re.search(r"^# skipped 0$", told, re.M)
    passed = re.search(r"^# pass (\d+)$", told, re.M)
    assert passed is not None
    assert (
        int(passed[1])
        >= {"browser": 20, "module": 5, "beside": 9, "bound": 4, "devices": 11, "server": 15, "client": 13}[suite]
    )


@pytest.mark.parametrize("engine", ["chromium", "firefox", "webkit"])
def test_in_each_engine(live: Live, engine: str) -> None:
    is_there = node("--input-type=module", "-e", f"console.log((await import('./engines.mjs')).has.{engine})")
    if is_there.strip() != "true":
        pytest.skip(f"Debian's package of {engine} is not here")
    told = node(
        "--test", "--test-reporter=tap", "--test-timeout=60000", "engines.test.mjs", URL=live.url, ENGINE=engine
    )
    assert re.search(r"^# fail 0$", told, re.M)
    assert re.search(r"^# skipped 0$", told, re.M)


@pytest.mark.parametrize(("name", "base"), [("tenure.js", "base = "), ("devices.js", "BASE = ")])
def test_the_service_serves_the_modules(live: Live, name: str, base: str) -> None:
    answer = httpx2.get(f"{live.base}/{name}")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    packaged = (ROOT / "js" / name).read_text()
    # Its endpoints are where it comes from; a bundled one can't know that by itself.
    assert answer.text == packaged.replace(f"{base}'/auth'", f"{base}new URL('.', import.meta.url).href")
    assert answer.text != packaged


@pytest.mark.parametrize(("name", "bytes_"), [("tenure.js", 6 * 1024), ("devices.js", 2 * 1024)])
def test_they_are_small(name: str, bytes_: int) -> None:
    assert len(gzip.compress((ROOT / "js" / name).read_bytes(), 9)) < bytes_


def test_npm_packs_it(tmp_path: Path) -> None:

    done = subprocess.run(
        [
            BIN / "node",
            BIN.parent / "lib/node_modules/npm/bin/npm-cli.js",
            "pack",
            "--json",
            "--pack-destination",
            tmp_path,
        ],
        cwd=ROOT / "js",
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    packed = json.loads(done.stdout)
    (package,) = packed.values() if isinstance(packed, dict) else packed
    assert sorted(file["path"] for file in package["files"]) == [
        "README.md",
        "client.d.ts",
        "client.js",
        "devices.d.ts",
        "devices.js",
        "package.json",
        "react-native.js",
        "server.d.ts",
        "server.js",
        "tenure.d.ts",
        "tenure.js",
    ]
