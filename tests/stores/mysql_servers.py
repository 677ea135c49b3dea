"""Real MariaDB and MySQL servers for the stores, from Debian's packages (tests/elsewhere/fetch)."""

import atexit
import contextlib
import functools
import itertools
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.stores.servers import free_port

_numbers = itertools.count()
_MYSQL = Path(__file__).parent.parent / "elsewhere" / "debian" / "mysql" / "root" / "usr"

_SHARED = [f"--lc-messages-dir={_MYSQL}/share/mysql", f"--character-sets-dir={_MYSQL}/share/mysql/charsets"]

KINDS = ("mariadb", "mysql")
_REPLICA = {"mariadb": "SLAVE", "mysql": "REPLICA"}
_REPLICATES = {"mariadb": ("--log-bin",), "mysql": ("--gtid-mode=ON", "--enforce-gtid-consistency=ON")}
_FOLLOW = {
    "mariadb": "CHANGE MASTER TO master_host = '127.0.0.1', master_port = {port}, master_user = 'tenure',"
    " master_password = 'correct horse', master_use_gtid = slave_pos; START SLAVE",
    "mysql": "CHANGE REPLICATION SOURCE TO source_host = '127.0.0.1', source_port = {port}, source_user = 'tenure',"
    " source_password = 'correct horse', source_auto_position = 1, get_source_public_key = 1; START REPLICA",
}


def program(kind: str) -> list[str | Path]:
    """The server's program, or a skipped test where it can't be had."""
    if kind == "mysql":
        if not (_MYSQL / "sbin" / "mysqld").exists():
            pytest.skip("MySQL is not there: tests/elsewhere/fetch")
        # A newer Debian's, with the libraries that it was linked with.
        return [
            _MYSQL / "lib64/ld-linux-x86-64.so.2",
            "--library-path",
            _MYSQL / "lib/x86_64-linux-gnu",
            _MYSQL / "sbin/mysqld",
        ]
    found = shutil.which("mariadbd", path="/usr/sbin:/usr/local/bin:/opt/homebrew/bin")
    if found is None:
        pytest.skip("MariaDB is not there: tests/elsewhere/fetch")
    return [found]


class Mysql:
    """A server of its own, in a folder of its own. It may be killed and started again."""

    def __init__(self, kind: str, *options: str, primary: "Mysql | None" = None) -> None:
        self._program = program(kind)
        self._kind = kind
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="tenure-mysql-"))
        self.port = free_port()
        self._make_data()
        self.start()
        if primary is not None:
            self.execute(*_FOLLOW[kind].format(port=primary.port).split(";"))
            return
        self.execute(
            "CREATE DATABASE tenure",
            "CREATE USER tenure@'%' IDENTIFIED BY 'correct horse'",
            "GRANT ALL ON *.* TO tenure@'%'",
        )

    @property
    def unix_socket(self) -> Path:
        return self._folder / "socket"

    def url(self, database: str = "tenure") -> str:
        return f"{self._kind}://root@localhost/{database}?unix_socket={self.unix_socket}"

    def tcp_url(self, *others: "Mysql", port: int | None = None) -> str:
        """The URL by way of TCP, as a user with a password; of several servers, or of whatever listens on `port`."""
        ports = [port or self.port, *[other.port for other in others]]
        return f"{self._kind}://tenure:correct%20horse@{','.join(f'127.0.0.1:{one}' for one in ports)}/tenure"

    @classmethod
    def pair(cls, kind: str) -> tuple["Mysql", "Mysql"]:
        """A primary, and a replica that follows it by GTIDs, asynchronously."""
        primary = cls(kind, "--server-id=1", *_REPLICATES[kind])
        return primary, cls(kind, "--server-id=2", "--read-only", *_REPLICATES[kind], primary=primary)

    def stop_receiving(self) -> None:
        """From now on this replica receives nothing any more."""
        self.execute(f"STOP {_REPLICA[self._kind]} IO_THREAD")

    def promote(self) -> None:
        """Make this replica the primary."""
        word = _REPLICA[self._kind]
        self.execute(f"STOP {word}", f"RESET {word} ALL", "SET GLOBAL read_only = OFF")

    def driver(self, **more: Any) -> Any:
        """A connection of its driver, outside of any transaction."""
        return pymysql.connect(
            user="root", unix_socket=str(self.unix_socket), autocommit=True, ssl_disabled=True, **more
        )

    def execute(self, *statements: str) -> Any:
        with contextlib.closing(self.driver()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    @property
    def data(self) -> Path:
        return self._folder / "data"

    def _make_data(self) -> None:
        data = f"--datadir={self.data}"
        if self._kind == "mysql":
            command = [*self._program, "--no-defaults", "--initialize-insecure", data, "--user=root"]
            command += [
                f"--lc-messages-dir={_MYSQL}/share/mysql",
                f"--character-sets-dir={_MYSQL}/share/mysql/charsets",
            ]
        else:
            how = ["--auth-root-authentication-method=normal", "--skip-test-db", "--user=root"]
            command = ["mariadb-install-db", "--no-defaults", data, *how]
        subprocess.run(command, check=True, capture_output=True)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = [
            f"--datadir={self._folder}/data",
            f"--socket={self.unix_socket}",
            f"--port={self.port}",
            "--user=root",
        ]
        options += ["--bind-address=127.0.0.1", f"--pid-file={self._folder}/pid", *self._options]
        if self._kind == "mysql":
            options += ["--mysqlx=OFF", "--secure-file-priv=NULL", *_SHARED]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*self._program, "--no-defaults", *options], stdout=log, stderr=log)
        for _ in range(1200):
            assert self._process.poll() is None, self.log()
            with contextlib.suppress(OSError):
                self.connect().close()
                return
            time.sleep(0.05)
        raise AssertionError(self.log())

    def connect(self) -> socket.socket:
        """A bare connection to the server."""
        return socket.create_connection(("127.0.0.1", self.port))

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._folder)


@functools.cache
def mysql_server(kind: str) -> Mysql:
    """A server that all tests share."""
    server = Mysql(kind, "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0")
    atexit.register(server.close)
    return server


def mysql_database(server: Mysql) -> str:
    """The URL of a new, empty database."""
    name = f"tenure_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name}")
    return server.url(name)
