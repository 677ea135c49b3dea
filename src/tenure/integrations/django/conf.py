"""The settings, and the process's Tenure made from them.

TENURE = {
    "SECRET": "…",                 # at least 32 random bytes
    "ISSUER": "https://…",         # the address that people see
    "AUDIENCE": "app",
    "FALLBACKS": [],               # older secrets that are still accepted
    "DATABASE": "default",         # which of DATABASES keeps the sessions
    "STORE": None,                 # or the URL of another store, in place of DATABASE; "memory://" in tests
    "ALGORITHM": "ES256",
    "POLICY": {"access_ttl": 600}, # lifetimes and limits, as tenure.Policy has them
    "CLAIMS": None,                # the dotted path of a function from a user to claims
    "LOGIN_PAGE": None,            # where a navigation without a session goes, for pages without JavaScript
    "DEVICES": {},                 # what to change of /auth/devices, as tenure.http.devices_page.DevicesPage has it;
                                   # its place is a dotted path
    "PREFIX": "/auth",             # where the endpoints are, below the path that the URLconf includes them at
    "ALLOWED_ORIGINS": [],         # other origins whose pages may use the cookie
    "COOKIE_PREFIX": "tenure",     # what the cookies' names begin with
    "COOKIE_PATH": None,           # where the cookie goes, as browsers see it; by default it follows from the request
    "ON_EVENT": None,              # the dotted path of a function that is given each Event
    "OBSERVERS": [],               # dotted paths of observers, like an instance of tenure.observing.telemetry.Telemetry
}
"""

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string

from tenure.core.errors import ConfigurationError, StoreUnavailable
from tenure.core.origins import origin_of
from tenure.core.policy import Policy
from tenure.http.cookies import CookieTransport
from tenure.http.devices_page import DevicesPage
from tenure.http.service import PREFIX, Service
from tenure.integrations.embedded import embedded
from tenure.sessions import Tenure
from tenure.stores import open_store
from tenure.stores.protocol import Store

REQUIRED = ("SECRET", "ISSUER", "AUDIENCE")
DEFAULTS: Mapping[str, Any] = {
    "FALLBACKS": (),
    "DATABASE": "default",
    "STORE": None,
    "ALGORITHM": "ES256",
    "POLICY": {},
    "CLAIMS": None,
    "LOGIN_PAGE": None,
    "DEVICES": {},
    "PREFIX": PREFIX,
    "ALLOWED_ORIGINS": (),
    "COOKIE_PREFIX": "tenure",
    "COOKIE_PATH": None,
    "ON_EVENT": None,
    "OBSERVERS": (),
}

_opening = threading.Lock()
_opened: list[tuple[Tenure, Service]] = []


def given() -> dict[str, Any]:
    """The settings, with defaults. Raises ConfigurationError."""
    block = getattr(settings, "TENURE", None)
    if not isinstance(block, dict):
        raise ConfigurationError("settings.TENURE is missing: a dictionary with SECRET, ISSUER and AUDIENCE.")
    missing = [name for name in REQUIRED if not block.get(name)]
    if missing:
        raise ConfigurationError(f"settings.TENURE lacks {', '.join(missing)}.")
    unknown = sorted(set(block) - set(REQUIRED) - set(DEFAULTS))
    if unknown:
        raise ConfigurationError(f"settings.TENURE has no {', '.join(unknown)}.")
    return {**DEFAULTS, **block}


def policy_of(block: Mapping[str, Any]) -> Policy:
    """The lifetimes and limits. Raises ConfigurationError."""
    try:
        return Policy(**block["POLICY"])
    except TypeError as problem:
        raise ConfigurationError(f"settings.TENURE['POLICY']: {problem}.") from None


def tenure() -> Tenure:
    """This process's Tenure, opened at first use."""
    return _parts()[0]


def service() -> Service:
    """The parts that the endpoints share."""
    return _parts()[1]


def open_before_views(**_: Any) -> None:
    """With SQLite, open the Tenure at the first request, not within a view's transaction.

    Opening makes the first signing key, in another thread, which would wait for the view's lock.
    """
    with contextlib.suppress(ConfigurationError, StoreUnavailable):
        if not _opened and (block := given())["STORE"] is None and connections[block["DATABASE"]].vendor == "sqlite":
            tenure()


def reset() -> None:
    """Close the Tenure, for tests that change settings."""
    with _opening:
        for opened, _ in _opened:
            opened.close()
        _opened.clear()


def _parts() -> tuple[Tenure, Service]:
    with _opening:
        if not _opened:
            _opened.append(_open(given()))
        return _opened[0]


def _open(block: Mapping[str, Any]) -> tuple[Tenure, Service]:
    from tenure.integrations.django.accounts import DjangoAccounts, claims_source

    opened = Tenure(
        _store(block),
        secret=block["SECRET"],
        fallbacks=block["FALLBACKS"],
        issuer=block["ISSUER"],
        audience=block["AUDIENCE"],
        algorithm=block["ALGORITHM"],
        policy=policy_of(block),
        claims=claims_source(_named(block["CLAIMS"])),
        on_event=_named(block["ON_EVENT"]),
        observers=[import_string(path) for path in block["OBSERVERS"]],
    )
    return opened, embedded(
        opened.issuer,
        authenticator=DjangoAccounts(),
        throttle=None,
        cookies=cookies_of(block),
        login_page=block["LOGIN_PAGE"],
        prefix=block["PREFIX"],
        devices=devices_of(block),
    )


def devices_of(block: Mapping[str, Any]) -> DevicesPage:
    """What the project changes of its page of devices. Raises ConfigurationError."""
    try:
        return DevicesPage(**{**block["DEVICES"], "place": _named(block["DEVICES"].get("place"))})
    except (TypeError, AttributeError, ImportError) as problem:
        raise ConfigurationError(f"settings.TENURE['DEVICES']: {problem}.") from None


def cookies_of(block: Mapping[str, Any]) -> CookieTransport:
    """How the refresh token's cookie is set. Raises ConfigurationError."""
    origins = frozenset(block["ALLOWED_ORIGINS"])
    return CookieTransport(origin_of(block["ISSUER"]), block["COOKIE_PREFIX"], origins, block["COOKIE_PATH"])


def _store(block: Mapping[str, Any]) -> Store:
    from tenure.integrations.django.store import DjangoStore

    return DjangoStore(block["DATABASE"]) if block["STORE"] is None else open_store(block["STORE"])


def _named(path: str | None) -> Callable[[Any], Any] | None:
    return None if path is None else import_string(path)
