"""One session's record in a storage that may fail.

If the storage fails, the session goes on in memory for as long as this process runs. The stored token becomes stale
with the next refresh, and presenting it later would look like theft, so it is removed if possible.
"""

import base64
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from tenure.client.errors import StorageFailed
from tenure.client.record import Record, record_of
from tenure.client.storage import UNNAMED, Release, Storage
from tenure.core.forking import Forking, survive_forks
from tenure.core.origins import is_loopback, origin_of

_log = logging.getLogger("tenure.client")


class Keeping(Forking):
    """The record that `storage` keeps under `name`. url: where its tokens are issued. failing: called with each
    failure."""

    def __init__(self, storage: Storage, name: str, url: str, failing: Callable[[str], None]) -> None:
        self._storage, self._name, self._url, self._failing = storage, name, url, failing
        self._unsaved: Record | None = None
        self._lock = threading.Lock()
        survive_forks(self)

    def after_fork_in_child(self) -> None:
        """Forget what is only in memory: it belongs to the parent process."""
        self._lock = threading.Lock()
        self._unsaved = None

    def load(self) -> Record:
        """The stored record. Raises StorageFailed if it can't be read."""
        unsaved = self._unsaved
        return self._read() if unsaved is None else unsaved

    def swap(self, expected: Record, record: Record) -> Record | None:
        """Store `record` if `expected` is what is stored. Returns the record as stored, or None if it was not
        written."""
        text = record.to_text()
        with self._lock:
            if self._unsaved is not None and self._unsaved is not expected:
                return None
            try:
                swapped = self._storage.swap(self._name, expected.source, text)
            except Exception as problem:  # noqa: BLE001 - an application's own storage raises what it likes
                return self._go_on_in_memory(expected, record, problem)
            self._unsaved = None
            return replace(record, source=text) if swapped else None

    def begin(self, record: Record) -> Record:
        """Keep a new session in memory, as the storage can't be read. Nothing is overwritten."""
        with self._lock:
            self._unsaved = replace(record, source=None)
            return self._unsaved

    def try_lock(self) -> Release | None:
        """Take the lock if it is free. If the storage can't lock, go on without: the attempt key makes that safe."""
        try:
            return self._storage.try_lock(self._name)
        except Exception:  # noqa: BLE001 - see `swap`
            return _nothing_to_release

    def _go_on_in_memory(self, expected: Record, record: Record, problem: Exception) -> Record:
        stale = expected.source
        if self._unsaved is None:
            reason = str(problem) if isinstance(problem, StorageFailed) else f"It raised {type(problem).__name__}."
            _log.warning("The session is kept in memory only, as its storage failed: %s", reason)
            self._failing(reason)
        elif stale is not None and _is_renewed(expected, record):
            try:
                stale = None if self._storage.swap(self._name, stale, None) else stale
            except Exception:  # noqa: BLE001 - it was tried
                _log.debug("the storage's copy could not be removed")
        self._unsaved = replace(record, source=stale)
        return self._unsaved

    def _read(self) -> Record:
        try:
            text = self._storage.load(self._name)
            return self._adopted() if text is None else record_of(text)
        except StorageFailed:
            raise
        except ValueError:
            raise StorageFailed(f"What is kept for {self._name} is damaged. Remove it, and log in again.") from None
        except Exception as problem:
            raise StorageFailed(f"The storage can't be read: it raised {type(problem).__name__}.") from problem

    def _adopted(self) -> Record:
        """Credentials stored before storages had names, if this endpoint issued them; they get its name."""
        text = self._storage.load(UNNAMED)
        if text is None:
            return Record()
        record = record_of(text)
        if record.credentials is None or not _is_issued_at(self._url, record.credentials.access_token):
            return Record()
        if self._storage.swap(self._name, None, text):
            self._storage.swap(UNNAMED, text, None)
        return record


def _is_renewed(expected: Record, record: Record) -> bool:
    old, new = expected.credentials, record.credentials
    return old is not None and (new is None or new.refresh_token != old.refresh_token)


def _is_issued_at(url: str, access_token: str | None) -> bool:
    """Whether the token's issuer (`iss`) has this URL's origin; True if the token does not name an issuer."""
    issuer = claims_of(access_token or "").get("iss")
    if not isinstance(issuer, str) or "://" not in issuer:
        return True
    try:
        here, there = urlsplit(url), urlsplit(issuer)
        if is_loopback(here.hostname or "") and is_loopback(there.hostname or ""):
            return here.port == there.port
        return origin_of(url) == origin_of(issuer)
    except ValueError:  # the issuer is not a URL
        return False


def claims_of(access_token: str) -> dict[str, Any]:
    """The claims of a JWT, not verified; an empty dictionary for any other token."""
    try:
        body = access_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _nothing_to_release() -> None:
    return
