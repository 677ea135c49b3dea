"""What runs inside Valkey: one Lua script for each thing that has to happen wholly or not at all.

`session.lua` is what they have in common, and goes before each of them. A script reads everything that it needs before
it writes anything: where a key turns out to be elsewhere (its slot is being moved), it has changed nothing yet.
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
    """The name by which the server knows a script that it has seen."""
    return hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest()
