"""The servers: a single one, the primary that Sentinels name, or the primaries of a Cluster.

    valkey://…  redis://…                  one server (valkeys:// and rediss:// with TLS)
    valkey+sentinel://A,B,C/SERVICE/DB     the primary that the Sentinels at A, B and C agree on
    valkey+cluster://A,B,C                 a Cluster, found through any of its nodes

The rest of the URL goes to redis-py: `?ssl_ca_certs=FILE`, for example. Every wait has a timeout, and redis-py's own
retries are off: a lost command may have been carried out, so whether to send it again is the caller's decision.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from hiredis import pack_command
from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import parse_url
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ConnectionError,
    MovedError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from tenure.core.errors import ConfigurationError, StoreUnavailable
from tenure.stores.outages import unavailable

WAIT_SECONDS = 5.0
CONNECT_SECONDS = 2.0
LOOK_AGAIN_SECONDS = 0.5

_BOUNDS: dict[str, Any] = {"socket_timeout": WAIT_SECONDS, "socket_connect_timeout": CONNECT_SECONDS, "protocol": 2}
_FORM = "valkey://HOST:PORT/DB, valkeys:// with TLS, valkey+sentinel://HOST,HOST/SERVICE or valkey+cluster://HOST,HOST"


Words = tuple[str | bytes | int, ...]
"""A command as it is sent."""


class Nodes(Protocol):
    """The servers of a store."""

    def name_of(self, key: str) -> str:
        """The name of the server that holds `key`. Raises StoreUnavailable if none is known."""
        ...

    def client_for(self, key: str) -> Redis:
        """A client of the server that holds `key`. Raises StoreUnavailable if none is known."""
        ...

    def redirected(self, error: AskError) -> Redis | None:
        """A client of the server that `error` redirects to, if known."""
        ...

    def lost(self, client: Redis) -> None:
        """This client's server did not respond or is no longer the primary: find the new one."""
        ...

    def any(self) -> Redis:
        """A client of any of the servers."""
        ...

    def primaries(self) -> dict[str, Redis]:
        """The clients of all servers that hold keys, by their names, in the order of the names."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class OneServer:
    """One server, or the current primary behind an address or behind Sentinels."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def name_of(self, key: str) -> str:  # noqa: ARG002 - there is one server, whatever is asked
        """One name for all keys."""
        return ""

    def client_for(self, key: str) -> Redis:  # noqa: ARG002 - there is one server, whatever is asked
        """The one client."""
        return self._client

    def redirected(self, error: AskError) -> Redis | None:  # noqa: ARG002 - there is one server, whatever is asked
        """None: there is no other server."""
        return None

    def lost(self, client: Redis) -> None:
        """Reconnect the next time, as another server may have the address by then."""
        client.connection_pool.disconnect(inuse_connections=False)

    def any(self) -> Redis:
        """The one client."""
        return self._client

    def primaries(self) -> dict[str, Redis]:
        """The one client."""
        return {"": self._client}

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
        self._client.connection_pool.disconnect()


class Cluster:
    """The primaries of a Cluster. redis-py looks up which node holds which slots, and does so again after a
    redirection."""

    def __init__(self, cluster: RedisCluster) -> None:
        self._cluster = cluster
        self._looking = threading.Lock()
        self._looked_at = time.monotonic()

    def name_of(self, key: str) -> str:
        """HOST:PORT of the primary."""
        return str(self._node(key).name)

    def client_for(self, key: str) -> Redis:
        """The client of the primary that holds the key's slot."""
        return self._cluster.get_redis_connection(self._node(key))

    def redirected(self, error: AskError) -> Redis | None:
        """The client of the node that a redirection names; a permanent redirection (MOVED) is remembered."""
        if isinstance(error, MovedError):
            self._cluster.nodes_manager.move_slot(error)
        node = self._cluster.get_node(host=error.host, port=error.port)
        return None if node is None else self._cluster.get_redis_connection(node)

    def lost(self, client: Redis) -> None:
        """Look up the slots again, unless a look-up is in progress or has just been done."""
        client.connection_pool.disconnect(inuse_connections=False)
        if self._looking.acquire(blocking=False):
            try:
                if time.monotonic() - self._looked_at >= LOOK_AGAIN_SECONDS:
                    with suppress(RedisError):
                        self._cluster.nodes_manager.initialize()
                    self._looked_at = time.monotonic()
            finally:
                self._looking.release()

    def any(self) -> Redis:
        """The client of a node that responds, if there is one."""
        for node in self._cluster.get_nodes():
            client = self._cluster.get_redis_connection(node)
            with suppress(RedisError):
                client.ping()
                return client
        raise StoreUnavailable

    def primaries(self) -> dict[str, Redis]:
        """The clients of all primaries."""
        nodes = sorted(self._cluster.get_primaries(), key=lambda node: str(node.name))
        return {str(node.name): self._cluster.get_redis_connection(node) for node in nodes}

    def close(self) -> None:
        """Close all connections."""
        self._cluster.close()

    def _node(self, key: str) -> ClusterNode:
        try:
            return self._cluster.nodes_manager.get_node_from_slot(key_slot(key.encode()))
        except SlotNotCoveredError:
            raise StoreUnavailable from None


def pipelined(client: Redis, commands: Sequence[Words]) -> list[Any]:
    """Send commands as one pipeline and read their replies; a refused command's reply is a ResponseError.

    Raises RedisError if the server does not respond. (redis-py's own Pipeline takes twice the time.)
    """
    connection = client.connection_pool.get_connection()
    try:
        packed = b"".join(pack_command(words) for words in commands)  # type: ignore[arg-type]  # says: of one word
        connection.send_packed_command([packed])
        return [_reply(connection) for _ in commands]
    except BaseException:
        connection.disconnect()  # the next user of the connection would read these replies
        raise
    finally:
        client.connection_pool.release(connection)


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as refused:
        return refused


def nodes_of(url: str) -> tuple[Nodes, int]:
    """The servers that a URL names, and how many replicas must acknowledge a write (`?wait_replicas=`).

    Raises ConfigurationError for an invalid URL, and StoreUnavailable if a Cluster can't be reached.
    """
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    credentials, _, hosts = parts.netloc.rpartition("@")
    first, *others = hosts.split(",")
    options = dict(parse_qsl(parts.query))
    try:
        wait_replicas = int(options.pop("wait_replicas", "0"))
        plain = f"{scheme.replace('valkey', 'redis')}://{credentials and credentials + '@'}{first}"
        query = f"?{urlencode(options)}"
        if kind == "cluster":
            return _cluster(plain + query, others), wait_replicas
        if kind == "sentinel":
            service, _, database = parts.path.lstrip("/").partition("/")
            return _sentinel(f"{plain}/{database}{query}", service, others), wait_replicas
        retry = Retry(NoBackoff(), 0)
        return OneServer(Redis.from_url(f"{plain}{parts.path}{query}", retry=retry, **_BOUNDS)), wait_replicas
    except (RedisClusterException, ConnectionError) as problem:
        raise unavailable(str(problem)) from None
    except (ValueError, TypeError):
        raise ConfigurationError(f"A Valkey store is {_FORM}, with options that redis-py knows.") from None


def _cluster(url: str, others: list[str]) -> Cluster:
    startup = [ClusterNode(host, port) for host, port in map(_address, others)]
    retry = Retry(NoBackoff(), 0)
    cluster = RedisCluster(url=url, startup_nodes=startup, retry=retry, require_full_coverage=False, **_BOUNDS)
    return Cluster(cluster)


def _sentinel(url: str, service: str, others: list[str]) -> OneServer:
    if not service:
        raise ValueError("no service")
    given: dict[str, Any] = {**parse_url(url), **_BOUNDS, "retry": Retry(NoBackoff(), 0)}
    tls = given.pop("connection_class", None) is not None
    host, port = given.pop("host"), given.pop("port", 26379)
    addresses = [(host, port), *(_address(other, 26379) for other in others)]
    return OneServer(Sentinel(addresses, sentinel_kwargs=_BOUNDS, ssl=tls).master_for(service, **given))


def _address(text: str, port: int = 6379) -> tuple[str, int]:
    found = urlsplit(f"//{text}")
    if not found.hostname:
        raise ValueError("no host")
    return found.hostname, found.port or port
