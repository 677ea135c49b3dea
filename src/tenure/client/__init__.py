"""The Python client: it refreshes by itself and repeats the request.

`core.py` decides what to do, without any I/O, and `driving.py` does it. Applications use `session.py`; `auth.py` plugs
it into HTTP clients, and `storage.py` keeps the credentials.
"""

import logging

try:
    from tenure.client.errors import (
        ClientEvent,
        OriginRefused,
        RefreshFailed,
        SignedOut,
        StepUpRequired,
        StorageFailed,
    )
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
    "StepUpRequired",
    "Storage",
    "StorageFailed",
]

# Silent by default: without a handler, Python would print warnings to standard error.
logging.getLogger(__name__).addHandler(logging.NullHandler())
