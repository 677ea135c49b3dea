"""Where credentials are kept between runs: in memory, in a file, or in the operating system's keyring.

A storage keeps texts by name, the name of the endpoint that issued the credentials. Each name has a lock that all
threads and processes sharing the storage respect, and that vanishes with its holder.
"""

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import tenacity
from filelock import FileLock, Timeout

from tenure.client.errors import StorageFailed
from tenure.core.forking import Forking, survive_forks
from tenure.core.inputs import check_setting

Release = Callable[[], None]

UNNAMED = ""
"""The name of credentials that were kept before storages had names."""

_WRITE_LOCK_SECONDS = 5.0
_VERSION = 1

# On Windows, a file that another process has open can't be read or replaced.
_retrying = tenacity.retry(
    retry=tenacity.retry_if_exception_type(PermissionError),
    wait=tenacity.wait_fixed(0.02),
    stop=tenacity.stop_after_delay(0.2),
    reraise=True,
)


class Storage(Protocol):
    """Texts by name. Raises StorageFailed for every problem."""

    def load(self, name: str) -> str | None:
        """The text, or None."""
        ...

    def swap(self, name: str, expected: str | None, text: str | None) -> bool:
        """Replace the text atomically if it equals `expected`; None means no text. Returns whether it was replaced."""
        ...

    def try_lock(self, name: str) -> Release | None:
        """Take the lock if it is free and return the function that releases it, or None if it is taken. Never waits."""
        ...


class MemoryStorage(Forking):
    """In this process's memory. A forked child begins empty, as two processes must not share a token."""

    def __init__(self) -> None:
        self.after_fork_in_child()
        survive_forks(self)

    def after_fork_in_child(self) -> None:
        """Begin with nothing."""
        self._texts: dict[str, str] = {}
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def load(self, name: str) -> str | None:
        """The text, or None."""
        return self._texts.get(name)

    def swap(self, name: str, expected: str | None, text: str | None) -> bool:
        """Replace the text if it is the expected one."""
        with self._lock:
            if self._texts.get(name) != expected:
                return False
            _put(self._texts, name, text)
            return True

    def try_lock(self, name: str) -> Release | None:
        """Take the lock if it is free."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        return lock.release if lock.acquire(blocking=False) else None


class FileStorage:
    """In a file that only its owner can read (mode 0600), replaced atomically. Creates its folder if necessary."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        check_setting("path", path, (str, os.PathLike), "a path")
        self._path = Path(path)
        with suppress(RuntimeError):  # no home folder: "~" stays as it is
            self._path = self._path.expanduser()

    def load(self, name: str) -> str | None:
        """The text, or None."""
        return self._texts().get(name)

    def swap(self, name: str, expected: str | None, text: str | None) -> bool:
        """Replace the text if it is the expected one; a crash leaves either the old file or the new one."""
        with self._failing("written"), self._alone():
            texts = self._texts()
            if texts.get(name) != expected:
                return False
            _put(texts, name, text)
            self._write(texts)
            return True

    def try_lock(self, name: str) -> Release | None:
        """Take the lock, on a file beside this one, if it is free."""
        with self._failing("locked"):
            return _try_file_lock(self._beside(f".{_digest(name)}.lock"))

    def for_keys(self) -> "FileStorage":
        """Where the keys of bound sessions are kept: in another file beside this one."""
        return FileStorage(self._path.with_name(f"{self._path.name}.key"))

    def _texts(self) -> dict[str, str]:
        with self._failing("read"):
            try:
                content = _retrying(self._path.read_bytes)()
            except FileNotFoundError:
                return {}
        try:
            kept = json.loads(content)
        except (ValueError, RecursionError):
            raise StorageFailed(f"{self._path} is damaged. Move it away, and log in again.") from None
        if isinstance(kept, dict) and isinstance(kept.get("refresh_token"), str):
            return {UNNAMED: content.decode()}
        if isinstance(kept, dict) and type(kept.get("version")) is int and kept["version"] > _VERSION:
            raise StorageFailed(f"{self._path} was written by a newer version of tenure. Update this program.")
        texts = kept.get("sessions") if isinstance(kept, dict) else None
        if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
            raise StorageFailed(f"{self._path} does not hold sessions. Name another file, or move it away.")
        return texts

    def _write(self, texts: dict[str, str]) -> None:
        if not texts:
            _retrying(self._path.unlink)(missing_ok=True)
            return
        target = self._path.resolve()  # keep symbolic links
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"version": _VERSION, "sessions": texts}, file)
                file.flush()
                os.fsync(file.fileno())
            _retrying(os.replace)(name, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the short lock around a write."""
        with FileLock(
            self._beside(".lock"), timeout=_WRITE_LOCK_SECONDS, poll_interval=0.005, mode=0o600, thread_local=False
        ):
            yield

    def _beside(self, suffix: str) -> Path:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._path.with_name(f"{self._path.name}{suffix}")

    @contextmanager
    def _failing(self, verb: str) -> Iterator[None]:
        try:
            yield
        except Timeout:
            raise StorageFailed(f"{self._path} can't be {verb}: another process holds its lock.") from None
        except (OSError, NotImplementedError) as problem:
            reason = getattr(problem, "strerror", None) or str(problem)
            raise StorageFailed(f"{self._path} can't be {verb}: {reason}.") from problem


class KeyringStorage:
    """In the operating system's keyring (the library `keyring`), under a service's name and a user's."""

    def __init__(self, service: str, username: str) -> None:
        import keyring

        for name, text in (("service", service), ("username", username)):
            check_setting(name, text, str, "text")
        self._keyring = keyring
        self._service, self._username = service, username

    def load(self, name: str) -> str | None:
        """The text, or None."""
        found: str | None = self._call_backend("read", self._keyring.get_password, self._entry(name))
        return found

    def swap(self, name: str, expected: str | None, text: str | None) -> bool:
        """Replace the text if it is the expected one."""
        with _failing_to_lock(), FileLock(self._lock_file(f"{name} write"), timeout=_WRITE_LOCK_SECONDS, mode=0o600):
            if self.load(name) != expected:
                return False
            if text is not None:
                self._call_backend("written", self._keyring.set_password, self._entry(name), text)
            elif expected is not None:
                self._call_backend("written", self._keyring.delete_password, self._entry(name))
            return True

    def try_lock(self, name: str) -> Release | None:
        """Take the lock, on a file in this user's temporary folder (a keyring has none), if it is free."""
        with _failing_to_lock():
            return _try_file_lock(self._lock_file(name))

    def _entry(self, name: str) -> str:
        return f"{self._username} {name}".strip() if name else self._username

    def _lock_file(self, name: str) -> Path:
        digest = _digest(f"{self._service}\0{self._username}\0{name}")
        user = os.getuid() if hasattr(os, "getuid") else "user"  # on Windows each user has their own temporary folder
        return Path(tempfile.gettempdir()) / f"tenure-{user}-{digest}.lock"

    def _call_backend(self, verb: str, function: Callable[..., Any], *arguments: str) -> Any:
        try:
            return function(self._service, *arguments)
        except Exception as problem:  # backends raise exceptions of their system
            raise StorageFailed(
                f"The keyring can't be {verb} for {self._service}: {type(problem).__name__}. Unlock it, or use a "
                "FileStorage."
            ) from problem


@contextmanager
def _failing_to_lock() -> Iterator[None]:
    try:
        yield
    except (Timeout, OSError, NotImplementedError) as problem:
        raise StorageFailed(f"The keyring's lock can't be taken: {problem}.") from problem


def _put(texts: dict[str, str], name: str, text: str | None) -> None:
    if text is None:
        texts.pop(name, None)
    else:
        texts[name] = text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _try_file_lock(path: Path) -> Release | None:
    # A new lock object each time: a shared one would admit several threads of one process.
    lock = FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock.release
