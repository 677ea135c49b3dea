"""Connect to PostgreSQL, with a timeout for every wait, and migrate the schema.

Each numbered script in this folder is one version of the schema; `tenure_schema` says which was applied last. They are
applied in one transaction under a lock, so several instances may start at once. If the schema is up to date, the role
need not be allowed to create tables.
"""

import os
from contextlib import closing
from importlib import resources
from operator import itemgetter
from typing import Any, Self

import psycopg

from tenure.core.errors import ConfigurationError, SchemaTooNew
from tenure.stores.outages import unavailable

WAIT_SECONDS = 5.0
_LOOKS = 4
GLANCE_SECONDS = 0.1


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that waits no longer than WAIT_SECONDS for each response.

    The server's own statement_timeout does not help if the server has stopped altogether. is_pooled: whether there is a
    pooler between. A pooler issues its own cancellation key, which does not name the server process that responds.
    """

    is_pooled = False

    def wait(self, gen: Any, interval: float = GLANCE_SECONDS, timeout: float | None = WAIT_SECONDS) -> Any:
        """Wait for `gen`. Raises psycopg.OperationalError if that takes too long."""
        return super().wait(gen, interval, timeout)

    @classmethod
    def to(cls, url: str) -> Self:
        """Connect. Raises psycopg.OperationalError if that takes too long."""
        connection = cls.connect(url, autocommit=True, connect_timeout=round(WAIT_SECONDS), prepare_threshold=None)
        try:
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            connection.is_pooled = backend_of(connection) != connection.info.backend_pid
        except BaseException:
            connection.close()
            raise
        if not connection.is_pooled:
            connection.prepare_threshold = 1
        return connection


def backend_of(connection: psycopg.Connection[Any]) -> int:
    """The id of the server process that responds right now."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return 0 if row is None else int(row[0])


def shares_server_connections(url: str) -> bool:
    """Whether `url` leads to a pooler that reassigns server connections after each transaction.

    Only then can two connections use one server process, or one connection use two. The check holds no transaction
    open, as the pool may be small. If a pooler goes unnoticed, LISTEN receives nothing there, and the feed is polled
    anyway.
    """
    with closing(BoundedConnection.to(url)) as one:
        if not one.is_pooled:
            return False
        with closing(BoundedConnection.to(url)) as other:
            seen = [(backend_of(one), backend_of(other)) for _ in range(_LOOKS)]
    ones, others = set(map(itemgetter(0), seen)), set(map(itemgetter(1), seen))
    return len(ones) > 1 or len(others) > 1 or ones == others


_left_to_parents: list[psycopg.Connection[Any]] = []


def leave_to_parent(connection: psycopg.Connection[Any]) -> None:
    """In a child process, drop the parent's connection without telling the server."""
    os.close(connection.fileno())
    _left_to_parents.append(connection)  # a finalizer would warn that it was not closed


def bring_forward(connection: BoundedConnection, *, allowed: bool = True) -> None:
    """Migrate the schema. Raises SchemaTooNew, and ConfigurationError if that is not allowed."""
    folder = resources.files(__name__)
    scripts = sorted((script for script in folder.iterdir() if script.name.endswith(".sql")), key=lambda s: s.name)
    try:
        version = _version(connection)
        if version == len(scripts):
            return
        if not allowed and version < len(scripts):
            raise ConfigurationError("The store's tables are missing or not up to date. Run: tenure migrate")
        with connection.transaction():
            # With this isolation_level, each following statement sees everything committed before it.
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('tenure schema'))")
            version = _version(connection)
            if version > len(scripts):
                raise SchemaTooNew(
                    f"The store was written by a newer version of tenure (schema {version}, this one knows "
                    f"{len(scripts)}). Install that version or a newer one."
                )
            connection.execute("CREATE TABLE IF NOT EXISTS tenure_schema (version integer NOT NULL)")
            for script in scripts[version:]:
                connection.execute(script.read_text())
            connection.execute("DELETE FROM tenure_schema")
            connection.execute("INSERT INTO tenure_schema VALUES (%s)", [len(scripts)])
    except psycopg.OperationalError as problem:
        raise unavailable(str(problem)) from None
    except psycopg.Error as problem:
        raise ConfigurationError(f"The store's tables can't be made: {problem.diag.message_primary}.") from None


def _version(connection: BoundedConnection) -> int:
    # Not by to_regclass, whose cache may not yet know tables that another instance created during the wait.
    known = "SELECT 1 FROM pg_class WHERE relname = 'tenure_schema' AND pg_table_is_visible(oid)"
    if connection.execute(known).fetchone() is None:
        return 0
    row = connection.execute("SELECT version FROM tenure_schema").fetchone()
    return 0 if row is None else int(row[0])
