"""New, empty databases for DjangoStore: migrated once, then copied."""

import functools
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from psycopg.conninfo import conninfo_to_dict

from examples import django_notes as _configured  # noqa: F401 - sets up Django
from tests.stores.mysql_servers import mysql_server
from tests.stores.servers import postgres_database

_numbers = itertools.count()


def sqlite_alias(folder: Path) -> str:
    """What connects to a new SQLite file."""
    file = folder / f"django-{next(_numbers)}.sqlite3"
    shutil.copy(_sqlite_template(), file)
    return _alias(ENGINE="django.db.backends.sqlite3", NAME=str(file))


def postgres_alias() -> str:
    """What connects to a new PostgreSQL database."""
    template = _postgres_template()
    place = conninfo_to_dict(template)
    name = f"django_{next(_numbers)}"
    with psycopg.connect(template.replace(str(place["dbname"]), "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {place['dbname']}")  # type: ignore[arg-type]
    return _alias(ENGINE="django.db.backends.postgresql", NAME=name, USER=place["user"], HOST=place["host"])


def mysql_alias(kind: str) -> str:
    """What connects to a new MariaDB or MySQL database, by PyMySQL in the place of mysqlclient."""
    template, server = _mysql_template(kind), mysql_server(kind)
    name = f"django_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name}")
    tables = [table for (table,) in server.execute(f"SHOW TABLES FROM {template}")]
    server.execute(*[f"CREATE TABLE {name}.{table} LIKE {template}.{table}" for table in tables])
    server.execute(*[f"INSERT INTO {name}.{table} SELECT * FROM {template}.{table}" for table in tables])
    return _mysql(kind, name)


def _mysql(kind: str, name: str) -> str:
    pymysql.install_as_MySQLdb()
    plain = {"ssl_disabled": True}  # over the socket; PyMySQL would read all certificates for each connection
    host = str(mysql_server(kind).unix_socket)
    return _alias(ENGINE="django.db.backends.mysql", NAME=name, USER="root", HOST=host, OPTIONS=plain)


def _alias(**place: Any) -> str:
    from django.db import connections

    alias = f"sessions_{next(_numbers)}"
    connections.databases[alias] = connections.configure_settings({"default": {}, alias: place})[alias]
    return alias


def _migrate(alias: str) -> None:
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", "tenure", database=alias, verbosity=0)
    connections[alias].close()


@functools.cache
def _sqlite_template() -> Path:
    file = Path(tempfile.mkdtemp(prefix="tenure-django-")) / "template.sqlite3"
    _migrate(_alias(ENGINE="django.db.backends.sqlite3", NAME=str(file)))
    return file


@functools.cache
def _mysql_template(kind: str) -> str:
    name = f"django_{next(_numbers)}"
    mysql_server(kind).execute(f"CREATE DATABASE {name}")
    _migrate(_mysql(kind, name))
    return name


@functools.cache
def _postgres_template() -> str:
    url = postgres_database()
    place = conninfo_to_dict(url)
    engine = "django.db.backends.postgresql"
    _migrate(_alias(ENGINE=engine, NAME=place["dbname"], USER=place["user"], HOST=place["host"]))
    return url
