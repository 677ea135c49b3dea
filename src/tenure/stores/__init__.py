"""Stores keep sessions: the protocol they speak, and one module for each place to keep them."""

from tenure.errors import ConfigurationError
from tenure.stores.memory import MemoryStore
from tenure.stores.protocol import Store
from tenure.stores.sqlite import SqliteStore

_FORMS = "sqlite:///relative.db, sqlite:////absolute/path.db, postgresql://…, or memory:// for tests"


def open_store(url: str) -> Store:
    """The store that a URL names; raises ConfigurationError for a URL of no known form."""
    if url == "memory://":
        return MemoryStore()
    if url.startswith(("postgresql://", "postgres://")):
        return _postgres(url)
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"))
    raise ConfigurationError(f"The store is a URL of one of these forms: {_FORMS}.")


def _postgres(url: str) -> Store:
    try:
        from tenure.stores.postgres import PostgresStore
    except ImportError as missing:
        raise ConfigurationError(
            f"PostgreSQL needs more than the library ({missing.name} is missing): pip install 'tenure[postgres]'"
        ) from None
    return PostgresStore(url)
