"""Stores keep sessions: one protocol, and one module or package for each kind."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from tenure.core.errors import ConfigurationError
from tenure.stores.memory import MemoryStore
from tenure.stores.protocol import Store
from tenure.stores.sqlite.store import SqliteStore

_FORMS = (
    "sqlite:///relative.db, sqlite:////absolute/path.db, postgresql://…, mysql://…, mariadb://…, valkey://…,"
    " or memory:// for tests"
)
_VALKEY = re.compile(r"(valkeys?|rediss?)(\+cluster|\+sentinel)?://.")


def open_store(url: str, *, migrate: bool = True) -> Store:
    """Open the store that a URL names. Raises ConfigurationError for an unknown URL.

    migrate: create or upgrade tables in PostgreSQL and MySQL if necessary; otherwise missing or old ones are an error.
    """
    if "\0" in url or not url.isprintable():
        raise ConfigurationError("The store's URL contains invisible characters.")
    if url == "memory://":
        return MemoryStore()
    if url.startswith(("postgresql://", "postgres://")):
        return _postgres(url, migrate=migrate)
    if url.startswith(("mysql://", "mariadb://")):
        return _mysql(url, migrate=migrate)
    if _VALKEY.match(url):
        return _valkey(url)
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"))
    raise ConfigurationError(f"The store is a URL of one of these forms: {_FORMS}.")


def opened(store: object, *, migrate: bool = True) -> Store:
    """Return a store, or open the one that a URL names. Raises ConfigurationError for anything else."""
    if isinstance(store, str):
        return open_store(store, migrate=migrate)
    if isinstance(store, type) or not all(callable(getattr(store, name, None)) for name in _STORE_METHODS):
        raise ConfigurationError(f"The store is a URL ({_FORMS}) or a Store, not {type(store).__name__}.")
    return cast(Store, store)


_STORE_METHODS = ("run", "arun", "watch", "open", "close")


def _postgres(url: str, *, migrate: bool) -> Store:
    with _extra("postgres", "PostgreSQL"):
        from tenure.stores.postgres.store import PostgresStore
    return PostgresStore(url, migrate=migrate)


def _mysql(url: str, *, migrate: bool) -> Store:
    with _extra("mysql", "MySQL"):
        from tenure.stores.mysql.store import MysqlStore
    return MysqlStore(url, migrate=migrate)


def _valkey(url: str) -> Store:
    with _extra("valkey", "Valkey"):
        from tenure.stores.valkey.store import ValkeyStore
    return ValkeyStore(url)


@contextmanager
def _extra(name: str, server: str) -> Iterator[None]:
    """Say what to install if a driver is missing."""
    try:
        yield
    except ImportError as missing:
        raise ConfigurationError(
            f"{server} needs more than the library ({missing.name} is missing): pip install 'tenure[{name}]'"
        ) from None
