"""Stores keep sessions: the protocol they speak, and one module for each place to keep them."""

from tenure.errors import ConfigurationError
from tenure.stores.memory import MemoryStore
from tenure.stores.protocol import Store
from tenure.stores.sqlite import SqliteStore

_FORMS = "sqlite:///relative.db, sqlite:////absolute/path.db, or memory:// for tests"


def open_store(url: str) -> Store:
    """The store that a URL names; raises ConfigurationError for a URL of no known form."""
    if url == "memory://":
        return MemoryStore()
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"))
    raise ConfigurationError(f"The store is a URL of one of these forms: {_FORMS}.")
