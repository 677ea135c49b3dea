"""The small embedded user database of `serve` and `demo`: names and Argon2id hashes, in the same store.

It is the default `Authenticator` (http/service.py), which an application with its own users replaces. An unknown name
takes as long as a wrong password, so that timing does not reveal who has an account.
"""

import json
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from tenure.core.calls import DeleteRecord, GetRecord, ListRecords, PutRecord
from tenure.core.errors import ConfigurationError
from tenure.core.inputs import check_subject
from tenure.stores.protocol import Store

_KIND = "account"
MIN_PASSWORD_CHARS = 8
MAX_PASSWORD_CHARS = 1024


class Accounts:
    """Accounts in `store`; an account's subject is its name. Passwords are hashed as RFC 9106 section 4 advises."""

    def __init__(self, store: Store, hasher: PasswordHasher | None = None) -> None:
        self._store = store
        self._hasher = hasher or PasswordHasher()
        self._nobodys_hash = self._hasher.hash("nobody's password")

    def authenticate(self, username: str, password: str) -> str | None:
        """The subject with these credentials, or None. Either way it takes some tens of milliseconds."""
        name = _normal(username)
        record = self._store.run(GetRecord(_KIND, name))
        known = self._nobodys_hash if record is None else json.loads(record)["password_hash"]
        try:
            self._hasher.verify(known, _normal(password))
        except VerificationError:
            return None
        if record is None:
            return None
        if self._hasher.check_needs_rehash(known):
            self._put(name, password, replace=True)
        return name

    def add(self, username: str, password: str) -> None:
        """Create an account. Raises ConfigurationError for a taken name or a bad password."""
        if not self._put(username, password, replace=False):
            raise ConfigurationError(f"There is a user {username} already.")

    def change_password(self, username: str, password: str) -> None:
        """Set a new password. Raises ConfigurationError for an unknown name or a bad password."""
        if not self._put(username, password, replace=True):
            raise ConfigurationError(f"There is no user {username}.")

    def remove(self, username: str) -> bool:
        """Delete an account. Returns whether it existed."""
        return self._store.run(DeleteRecord(_KIND, _normal(username)))

    def names(self) -> list[str]:
        """The names of all accounts."""
        return [name for name, _ in self._store.run(ListRecords(_KIND))]

    def _put(self, username: str, password: str, *, replace: bool) -> bool:
        name = _normal(username)
        check_subject(name)
        if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
            raise ConfigurationError(f"A password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters.")
        body = json.dumps({"password_hash": self._hasher.hash(_normal(password))})
        return self._store.run(PutRecord(_KIND, name, body, replace))


def _normal(text: str) -> str:
    """Normalize texts that look the same but come from different keyboards (RFC 8265 sections 3.4 and 4.2)."""
    return unicodedata.normalize("NFC", text)
