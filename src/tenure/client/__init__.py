"""The client that nobody notices: it refreshes by itself and repeats the request.

`core.py` decides, without any I/O; `session.py` does what it says, blocking or with `await`; `httpx_auth.py` and
`requests_auth.py` put it into the HTTP clients that people use; `storage.py` is where credentials are kept.
"""

try:
    from tenure.client.core import ClientEvent, Credentials, OriginRefused, RefreshFailed, SignedOut
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
]
