"""The client that nobody notices: it refreshes by itself and repeats the request.

`core.py` decides, without any I/O; `driving.py` does what it says; `session.py` is what an application holds, `auth.py`
puts it into HTTP clients, `storage.py` is where credentials are kept.
"""

import logging

try:
    from tenure.client.errors import ClientEvent, OriginRefused, RefreshFailed, SignedOut, StorageFailed
    from tenure.client.record import Credentials
    from tenure.client.session import Session
    from tenure.client.storage import FileStorage, KeyringStorage, MemoryStorage, Storage
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"The client needs more than the library ({missing.name} is missing): pip install 'tenure[client]'",
        name=missing.name,
    ) from None

__all__ = [
    "ClientEvent",
    "Credentials",
    "FileStorage",
    "KeyringStorage",
    "MemoryStorage",
    "OriginRefused",
    "RefreshFailed",
    "Session",
    "SignedOut",
    "Storage",
    "StorageFailed",
]

# Silent unless the program asks for the log: without a handler, Python prints warnings to standard error.
logging.getLogger(__name__).addHandler(logging.NullHandler())
