"""Lua scripts that run inside Valkey, one for each atomic operation.

`session.lua` is shared and prepended to each of them. A script reads everything it needs before it writes, so that it
has changed nothing if a key turns out to be on another node (its slot is being moved).
"""

import functools
import hashlib
from importlib import resources

SCRIPTS = (
    "advance",
    "create",
    "forget_revocations",
    "keep_audit",
    "list_audit",
    "list_subject",
    "replace_record",
    "restore",
    "revoke",
    "revoke_subject",
    "revoked_since",
)


@functools.cache
def source(name: str) -> str:
    """The text of a script."""
    folder = resources.files(__name__)
    return (folder / "session.lua").read_text() + (folder / f"{name}.lua").read_text()


@functools.cache
def digest(name: str) -> str:
    """A script's SHA-1 digest, by which a server that has it knows it."""
    return hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest()
