"""What is released: a wheel and a source distribution, and each extra in an empty environment."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import tenure

ROOT = Path(__file__).parent.parent

# What somebody who has installed one extra begins with, and what they must not have got with it.
EXTRAS = {
    "": ("from tenure import AsyncTenure, Policy, Tenure, Verifier", {"starlette", "psycopg", "redis", "httpx2"}),
    "client": ("from tenure.client import FileStorage, Session", {"starlette", "psycopg", "redis"}),
    "django": ("import django; from tenure.integrations import embedded", {"starlette", "psycopg", "redis"}),
    "fastapi": ("from tenure.integrations.fastapi import Sessions, add_sessions", {"psycopg", "redis", "flask"}),
    "flask": ("from tenure.integrations.flask import Sessions, session_required", {"starlette", "psycopg", "redis"}),
    "keyring": ("import keyring", {"starlette"}),
    "opentelemetry": ("from tenure.observing.telemetry import Telemetry", {"starlette", "psycopg", "redis"}),
    "mysql": ("from tenure.stores.mysql.store import MysqlStore", {"starlette", "psycopg", "redis"}),
    "postgres": ("from tenure.stores.postgres.store import PostgresStore", {"starlette", "redis"}),
    "server": ("from tenure.cli.commands import tenure; from tenure.server.app import build", {"psycopg", "redis"}),
    "starlette": ("from tenure.integrations.starlette import Sessions", {"psycopg", "redis", "fastapi"}),
    "valkey": ("from tenure.stores.valkey.store import ValkeyStore", {"starlette", "psycopg"}),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("dist")
    code = "import sys; from hatchling import build; build.build_wheel(sys.argv[1]); build.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, check=True, capture_output=True)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


def test_the_distributions_carry_what_is_needed(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as archive:
        names = set(archive.namelist())
    needed = {
        "tenure/py.typed",
        "tenure/http/tenure.js",
        "tenure/http/devices.js",
        "tenure/http/templates/devices.html",
        "tenure/server/console/templates/overview.html",
        "tenure/stores/postgres/schema/0002_pushed_feed.sql",
        "tenure/stores/mysql/schema/0001_sessions.sql",
        "tenure/stores/valkey/scripts/advance.lua",
        "tenure/integrations/django/migrations/0001_initial.py",
    }
    assert needed <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "examples"))]
    with tarfile.open(built["sdist"]) as archive:
        assert f"tenure-{tenure.__version__}/src/tenure/__init__.py" in archive.getnames()


def test_the_command_says_its_version() -> None:
    said = subprocess.run([sys.executable, "-m", "tenure", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"tenure, version {tenure.__version__}\n"


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_is_enough_for_what_it_is_for(extra: str, built: dict[str, Path], tmp_path: Path) -> None:
    code, absent = EXTRAS[extra]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    wanted = f"{built['wheel']}[{extra}]" if extra else str(built["wheel"])
    subprocess.run([python, "-m", "pip", "install", "--quiet", wanted], check=True, capture_output=True, timeout=300)
    check = f"{code}\nimport importlib.util as u\nassert not [m for m in {sorted(absent)} if u.find_spec(m)]"
    done = subprocess.run([python, "-c", check], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
