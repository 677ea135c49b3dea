"""Where credentials are kept between two runs: in memory, in a file, in the operating system's keyring.

A storage keeps one text. Its lock is for all threads and processes that share it, and goes away with its holder.
"""

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from tenure.inputs import check_setting

Release = Callable[[], None]


class Storage(Protocol):
    """A place for one text, with a lock."""

    def load(self) -> str | None:
        """The text, or None."""
        ...

    def save(self, text: str) -> None:
        """Replace the text, wholly or not at all."""
        ...

    def clear(self) -> None:
        """Forget the text."""
        ...

    def try_lock(self) -> Release | None:
        """Take the lock if it is free; answers what gives it back. None where another has it. Never waits."""
        ...


class MemoryStorage:
    """In this process, for as long as it runs."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._lock = threading.Lock()

    def load(self) -> str | None:
        """The text, or None."""
        return self._text

    def save(self, text: str) -> None:
        """Replace the text."""
        self._text = text

    def clear(self) -> None:
        """Forget the text."""
        self._text = None

    def try_lock(self) -> Release | None:
        """Take the lock if it is free."""
        return self._lock.release if self._lock.acquire(blocking=False) else None


class FileStorage:
    """In a file that only its owner can read (mode 0600), replaced atomically. Its folder is made if need be."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        check_setting("path", path, (str, os.PathLike), "a path")
        self._path = Path(path).expanduser()

    def load(self) -> str | None:
        """The text, or None."""
        try:
            return self._path.read_text()
        except FileNotFoundError:
            return None

    def save(self, text: str) -> None:
        """Replace the text; a crash leaves either the old one or the new one."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(name)
            raise

    def clear(self) -> None:
        """Forget the text."""
        self._path.unlink(missing_ok=True)

    def try_lock(self) -> Release | None:
        """Take the lock, on a file beside this one, if it is free."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _try_file_lock(self._path.with_name(f"{self._path.name}.lock"))


class KeyringStorage:
    """In the operating system's keyring (the library `keyring`), under a service's name and a user's."""

    def __init__(self, service: str, username: str) -> None:
        import keyring

        for name, text in (("service", service), ("username", username)):
            check_setting(name, text, str, "text")
        self._keyring = keyring
        self._service, self._username = service, username

    def load(self) -> str | None:
        """The text, or None."""
        return self._keyring.get_password(self._service, self._username)

    def save(self, text: str) -> None:
        """Replace the text."""
        self._keyring.set_password(self._service, self._username, text)

    def clear(self) -> None:
        """Forget the text."""
        from keyring.errors import PasswordDeleteError

        with suppress(PasswordDeleteError):
            self._keyring.delete_password(self._service, self._username)

    def try_lock(self) -> Release | None:
        """Take the lock, on a file in this user's temporary folder (a keyring has none), if it is free."""
        name = hashlib.sha256(f"{self._service}\0{self._username}".encode()).hexdigest()[:32]
        return _try_file_lock(Path(tempfile.gettempdir()) / f"tenure-{os.getuid()}-{name}.lock")


def _try_file_lock(path: Path) -> Release | None:
    # A lock of its own each time: one that is shared would let the threads of a process in together.
    lock = FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock.release
