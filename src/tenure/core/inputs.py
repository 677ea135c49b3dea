"""Input checks: the type and bounds of each value from outside, checked before anything else."""

import hashlib
import math
import re
import unicodedata
from collections.abc import Sequence

from tenure.core.errors import ConfigurationError, InvalidRequest
from tenure.core.session import Authentication

ATTEMPT_KEY_CHARS = range(16, 201)
MAX_DEVICE_CHARS = 200
MAX_SUBJECT_CHARS = 255
MAX_SCOPE_CHARS = 1000
MAX_METHODS = 10
MAX_NAME_CHARS = 100
_NAME = re.compile(r"[!#-+\--\[\]-~]{1,100}")
NAMES = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*")


def check_text(name: str, value: object, hint: str = "") -> None:
    """Raise InvalidRequest unless the value is text that can be stored; `hint` says how to pass it."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} is text, not {type(value).__name__}{hint}.")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise InvalidRequest(f"{name} is not well-formed text.") from None
    if "\0" in value:
        raise InvalidRequest(f"{name} has a character that no store keeps (U+0000).")


def check_setting(name: str, value: object, kind: type | tuple[type, ...], expected: str) -> None:
    """Raise ConfigurationError for a constructor's argument that is not of type `kind`."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigurationError(f"{name} is {expected}, not {type(value).__name__}.")
    if isinstance(value, str) and not value.isprintable():
        raise ConfigurationError(f"{name} contains invisible characters.")


def check_methods(name: str, value: object, *methods: str) -> None:
    """Raise ConfigurationError for an argument that lacks one of these methods; None is fine."""
    if value is None:
        return
    if isinstance(value, type) or not all(callable(getattr(value, method, None)) for method in methods):
        raise ConfigurationError(f"{name} is an object with {', '.join(methods)}, not {type(value).__name__}.")


def check_function(name: str, value: object) -> None:
    """Raise ConfigurationError for a value that can't be called."""
    if not callable(value):
        raise ConfigurationError(f"{name} is a function, not {type(value).__name__}.")


def check_limit(value: object, most: int) -> None:
    """Raise InvalidRequest unless the value is an integer from 1 to `most`."""
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidRequest(f"limit is a whole number from 1 to {most}.")


def check_seconds(name: str, value: object) -> None:
    """Raise ConfigurationError unless the value is a duration in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError(f"{name} is a number of seconds, not {value!r}.")


def check_subject(subject: str) -> None:
    """Raise InvalidRequest for a subject that is empty, too long, or contains invisible characters."""
    check_text("subject", subject, ": pass an id as text, str(user.id)")
    if not subject or not subject.isprintable() or len(subject) > MAX_SUBJECT_CHARS:
        raise InvalidRequest(f"subject is text of 1 to {MAX_SUBJECT_CHARS} printable characters.")


def check_scope(scope: str) -> None:
    """Raise InvalidRequest unless the value is a space-separated list of scopes (RFC 6749 section 3.3)."""
    check_text("scope", scope)
    if scope and (len(scope) > MAX_SCOPE_CHARS or not NAMES.fullmatch(scope)):
        raise InvalidRequest(
            f"scope is a list of names with one space between them, {MAX_SCOPE_CHARS} characters long."
        )


def authentication_of(at: float, acr: str | None, amr: Sequence[str]) -> Authentication:
    """How a user was authenticated at this moment (seconds, UTC). Raises InvalidRequest for anything but names."""
    if acr is not None:
        _check_name("acr", acr)
    if isinstance(amr, str) or not isinstance(amr, Sequence) or len(amr) > MAX_METHODS:
        raise InvalidRequest(f'amr is a list of at most {MAX_METHODS} names, like ["pwd", "otp"] (RFC 8176).')
    for method in amr:
        _check_name("amr", method)
    return Authentication(at, acr, tuple(amr))


def is_name(value: object) -> bool:
    """Whether this can be the name of a class or a method of authentication."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _check_name(what: str, name: object) -> None:
    check_text(what, name)
    if not is_name(name):
        raise InvalidRequest(
            f"{what} has 1 to {MAX_NAME_CHARS} characters of ASCII, without spaces, quotes and commas."
        )


def hash_of_attempt(attempt: str | None) -> bytes | None:
    """The stored hash of an attempt key (32 bytes). Raises InvalidRequest for a key that is too short to be random."""
    if attempt is None:
        return None
    if not isinstance(attempt, str):
        raise InvalidRequest(f"attempt is text, not {type(attempt).__name__}.")
    if len(attempt) not in ATTEMPT_KEY_CHARS:
        raise InvalidRequest(
            f"The attempt key (Idempotency-Key) is a random value of {ATTEMPT_KEY_CHARS[0]} to "
            f"{ATTEMPT_KEY_CHARS[-1]} characters."
        )
    return hashlib.sha256(attempt.encode("utf-8", "surrogatepass")).digest()


def spelling_of(account: str) -> str:
    """A canonical spelling for names that an authenticator may treat as equal, so that other spellings give no extra
    guesses."""
    return unicodedata.normalize("NFKC", account).casefold().strip()


def shortened(device: str) -> str:
    """A device's name, cut to the length that is stored. It is only displayed, so a long one is not an error.

    Raises InvalidRequest unless it is text.
    """
    if not isinstance(device, str):
        raise InvalidRequest(f"device is text, not {type(device).__name__}.")
    return "".join(letter for letter in device if letter.isprintable())[:MAX_DEVICE_CHARS]
