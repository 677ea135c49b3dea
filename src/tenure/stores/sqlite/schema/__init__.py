"""Open a SQLite file, with durable settings, and migrate the schema.

Each numbered script in this folder is one version of the schema; `user_version` says which was applied last. Missing
ones are applied in one transaction, so several processes may open a new file at once.
"""

import os
import sqlite3
from importlib import resources
from pathlib import Path

from tenure.core.errors import ConfigurationError, SchemaTooNew

BUSY_SECONDS = 5.0
APPLICATION_ID = 0x74_6E_72_31  # "tnr1", which tells our files from other programs' databases


def open_file(path: Path) -> sqlite3.Connection:
    """Connect to the store at `path`, which is created and migrated as needed.

    Raises SchemaTooNew, and ConfigurationError if the file can't be opened or belongs to another program.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"The store's folder {path.parent} does not exist.")
    try:
        # Created here, so that others can't read this file and SQLite's own beside it, not even for a moment.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as problem:
        raise ConfigurationError(f"The store {path} can't be opened: {problem}.") from problem
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply the missing scripts in order; `user_version` is the last one applied."""
    folder = resources.files(__name__)
    scripts = sorted((script for script in folder.iterdir() if script.name.endswith(".sql")), key=lambda s: s.name)
    connection.execute("BEGIN IMMEDIATE")
    try:
        version, application_id, tables = connection.execute(
            "SELECT (SELECT user_version FROM pragma_user_version),"
            " (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_master)"
        ).fetchone()
        if application_id != APPLICATION_ID and (tables or application_id):
            raise ConfigurationError(f"The store {path} is another program's database.")
        if version > len(scripts):
            raise SchemaTooNew(
                f"The store {path} was written by a newer version of tenure (schema {version}, this one knows "
                f"{len(scripts)}). Install that version or a newer one."
            )
        for script in scripts[version:]:
            for statement in _statements(script.read_text()):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(scripts)}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """Split a script into statements, as `executescript` would commit the transaction first."""
    statements, gathered = [], ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            statements.append(gathered)
            gathered = ""
    return statements
