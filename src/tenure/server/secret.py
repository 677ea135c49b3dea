"""The root secret of a service that was given none: created once, in a file that only its owner can read.

Only for the embedded default, where the secret may be kept beside the database. Otherwise it must be given.
"""

import os
import secrets
import stat
from pathlib import Path

from tenure.core.errors import ConfigurationError
from tenure.core.keys import SECRET_BYTES
from tenure.server.settings import Settings

_SQLITE = "sqlite:///"


def root_secret(settings: Settings) -> str:
    """The secret from the settings, or from the file beside the database, which is created if necessary.

    Raises ConfigurationError if there is none, or if others can read the file.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    if not settings.store.startswith(_SQLITE):
        if settings.workers > 1 or settings.store != "memory://":
            raise ConfigurationError("A secret is needed that all who use the store share: --secret or TENURE_SECRET.")
        return secrets.token_urlsafe(SECRET_BYTES)
    file = Path(settings.store.removeprefix(_SQLITE) + ".secret")
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return _read(file)
    except OSError as problem:
        raise ConfigurationError(f"The secret's file {file} can't be made: {problem.strerror}.") from None
    with os.fdopen(descriptor, "w") as writer:
        made = secrets.token_urlsafe(SECRET_BYTES)
        writer.write(made + "\n")
    return made


def _read(file: Path) -> str:
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise ConfigurationError(f"The secret's file {file} can be read by others: chmod 600 it.")
    return file.read_text().strip()
