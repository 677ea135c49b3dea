"""Connecting to PostgreSQL: no wait without an end, and the schema brought forward.

Each numbered script in this folder is one version of the schema; `tenure_schema` says which was applied last. They are
applied in one transaction under a lock, so that several instances may start at once. A role that may not create tables
will do where the schema is up to date.
"""

from importlib import resources
from typing import Any, Self

import psycopg

from tenure.errors import ConfigurationError, SchemaTooNew, StoreUnavailable

WAIT_SECONDS = 5.0
GLANCE_SECONDS = 0.1


class BoundedConnection(psycopg.Connection[Any]):
    """A connection on which no answer is waited for longer than WAIT_SECONDS.

    The server's own statement_timeout does not help against a server that has stopped altogether.
    """

    def wait(self, gen: Any, interval: float = GLANCE_SECONDS, timeout: float | None = WAIT_SECONDS) -> Any:
        """Wait for what `gen` waits for; raises psycopg.OperationalError once that takes too long."""
        return super().wait(gen, interval, timeout)

    @classmethod
    def to(cls, url: str) -> Self:
        """Connect. Raises psycopg.OperationalError where that can't be done in time."""
        return cls.connect(url, autocommit=True, connect_timeout=round(WAIT_SECONDS), prepare_threshold=1)


def bring_forward(connection: BoundedConnection, *, allowed: bool = True) -> None:
    """Bring the schema forward. Raises SchemaTooNew, and ConfigurationError where that is not allowed."""
    folder = resources.files(__name__)
    scripts = sorted((script for script in folder.iterdir() if script.name.endswith(".sql")), key=lambda s: s.name)
    try:
        version = _version(connection)
        if version == len(scripts):
            return
        if not allowed and version < len(scripts):
            raise ConfigurationError("The store's tables are not there, or not up to date. Run: tenure migrate")
        # Before the transaction begins, not in it: else it may not see what the one before has made.
        connection.execute("SELECT pg_advisory_lock(hashtext('tenure schema'))")
        with connection.transaction():
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
        connection.execute("SELECT pg_advisory_unlock(hashtext('tenure schema'))")
    except psycopg.OperationalError as problem:
        raise StoreUnavailable(f"The session store can't be reached right now ({type(problem).__name__}).") from None
    except psycopg.Error as problem:
        raise ConfigurationError(f"The store's tables can't be made: {problem.diag.message_primary}.") from None


def _version(connection: BoundedConnection) -> int:
    known = connection.execute("SELECT to_regclass('tenure_schema')").fetchone()
    if known is None or known[0] is None:
        return 0
    row = connection.execute("SELECT version FROM tenure_schema").fetchone()
    return 0 if row is None else int(row[0])
