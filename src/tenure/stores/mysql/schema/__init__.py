"""Connect to MySQL or MariaDB, with a timeout for every wait, and migrate the schema.

Each numbered script in this folder is one version of the schema; `tenure_schema` says which was applied last. MySQL
commits each statement that creates a table, so every statement can be run again after an interrupted migration. A lock
lets several instances start at once. If the schema is up to date, the user need not be allowed to create tables.
"""

from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from tenure.core.errors import ConfigurationError, SchemaTooNew
from tenure.stores.mysql.address import addresses
from tenure.stores.mysql.statements import exact_collation, lock_tables
from tenure.stores.outages import unavailable

WAIT_SECONDS = 5
_MIGRATION_SECONDS = 60
_FIRST_OF_THE_CLIENT = 2000  # lower numbers are the server's own errors
_SETTINGS = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    f"SET SESSION innodb_lock_wait_timeout = {WAIT_SECONDS}, time_zone = '+00:00',"
    " sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
)


class Connection:
    """A connection with the interface that the statements expect: `execute` returns a cursor.

    It waits no longer than WAIT_SECONDS for each response, and a transaction begins with its first statement.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        # FOUND_ROWS: an UPDATE counts the rows that it matched, also where it changed nothing in them.
        self._driver = pymysql.connect(
            **arguments,
            charset="utf8mb4",
            binary_prefix=True,
            client_flag=CLIENT.FOUND_ROWS,
            connect_timeout=WAIT_SECONDS,
            read_timeout=WAIT_SECONDS,
            write_timeout=WAIT_SECONDS,
        )
        for setting in _SETTINGS:
            self.execute(setting)

    def execute(self, statement: str, arguments: Sequence[Any] = ()) -> Any:
        """Run a statement; returns the cursor."""
        cursor = self._driver.cursor()
        cursor.execute(statement, arguments or None)
        return cursor

    def commit(self) -> None:
        """End the transaction."""
        self._driver.commit()

    def rollback(self) -> None:
        """Undo the transaction, if the server can still be reached."""
        with suppress(pymysql.Error, OSError):
            self._driver.rollback()

    def close(self) -> None:
        """Close the connection."""
        with suppress(pymysql.Error):
            self._driver.close()

    def leave_to_parent(self) -> None:
        """In a child process, drop the parent's connection without telling the server."""
        del self._driver  # the driver closes a forgotten connection without a word

    def server_version(self) -> str:
        """What the server says it is."""
        return str(self.execute("SELECT version()").fetchone()[0])


def connected(url: str) -> Connection:
    """Connect to the first host that takes writes, or to the only one.

    Raises ConfigurationError for a URL that can't be used, and StoreUnavailable.
    """
    places = addresses(url)
    troubles = []
    for place in places:
        name = place.get("unix_socket") or f"{place['host']}:{place['port']}"
        try:
            connection = Connection(place)
            if len(places) == 1 or not connection.execute("SELECT @@global.read_only").fetchone()[0]:
                return connection
            connection.close()
            troubles.append(f"{name} is read-only")
        except (pymysql.Error, OSError, RuntimeError) as problem:  # RuntimeError: no way to authenticate
            troubles.append(f"{name}: {problem}")
    raise unavailable("; ".join(troubles))


def bring_forward(connection: Connection, *, allowed: bool = True) -> None:
    """Migrate the schema. Raises SchemaTooNew, and ConfigurationError if that is not allowed."""
    folder = resources.files(__name__)
    scripts = sorted((script for script in folder.iterdir() if script.name.endswith(".sql")), key=lambda s: s.name)
    try:
        version = _version(connection)
        connection.commit()  # an open transaction would keep other instances from changing the tables
        if version == len(scripts):
            return
        if not allowed and version < len(scripts):
            raise ConfigurationError("The store's tables are missing or not up to date. Run: tenure migrate")
        connection.execute("SELECT get_lock('tenure schema', %s)", (_MIGRATION_SECONDS,))
        try:
            _migrate(connection, [script.read_text() for script in scripts])
        finally:
            connection.execute("SELECT release_lock('tenure schema')")
            connection.commit()
    except pymysql.Error as problem:
        if is_lost(problem):
            raise unavailable(str(problem)) from None
        raise ConfigurationError(f"The store's tables can't be made: {problem.args[-1]}.") from None


def is_lost(problem: pymysql.Error) -> bool:
    """Whether it is the client's own error: the server no longer responds."""
    return isinstance(problem, pymysql.InterfaceError) or problem.args[0] >= _FIRST_OF_THE_CLIENT


def _migrate(connection: Connection, scripts: Sequence[str]) -> None:
    version = _version(connection)
    if version > len(scripts):
        raise SchemaTooNew(
            f"The store was written by a newer version of tenure (schema {version}, this one knows {len(scripts)}). "
            "Install that version or a newer one."
        )
    connection.execute("CREATE TABLE IF NOT EXISTS tenure_schema (version integer NOT NULL) ENGINE = InnoDB")
    exact = exact_collation(connection.server_version())
    for number, script in enumerate(scripts[version:], version + 1):
        for statement in script.replace("{exact}", exact).split(";\n"):
            if statement.strip():
                connection.execute(statement)
        if number == 1:
            for statement in lock_tables("tenure_"):
                connection.execute(statement)
        connection.execute("DELETE FROM tenure_schema")
        connection.execute("INSERT INTO tenure_schema VALUES (%s)", (number,))
        connection.commit()


def _version(connection: Connection) -> int:
    known = "SELECT 1 FROM information_schema.tables WHERE table_schema = database() AND table_name = 'tenure_schema'"
    if connection.execute(known).fetchone() is None:
        return 0
    row = connection.execute("SELECT version FROM tenure_schema").fetchone()
    return 0 if row is None else int(row[0])
