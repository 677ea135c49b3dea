"""System checks: `manage.py check` and runserver report wrong settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.db import connections

from tenure.core.errors import ConfigurationError
from tenure.core.keys import DerivedKeys
from tenure.core.origins import check_path, other_sites
from tenure.integrations.django.conf import cookies_of, devices_of, given, policy_of
from tenure.integrations.embedded import OTHER_SITE

SUPPORTED = ("postgresql", "mysql", "sqlite")

_LOCKS_LATE = (
    "With ATOMIC_REQUESTS on SQLite, a view that reads and then writes fails at once (database is locked) while another"
    ' process writes. Let transactions wait for each other: "OPTIONS": {"transaction_mode": "IMMEDIATE"}.'
)


def check_settings(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Check settings.TENURE."""
    try:
        block = given()
        policy_of(block)
        DerivedKeys.of(block["SECRET"])
        check_path("PREFIX", block["PREFIX"])
        cookies = cookies_of(block)
        devices_of(block)
    except ConfigurationError as problem:
        return [Error(str(problem), id="tenure.E001")]
    found: list[CheckMessage] = [
        Warning(OTHER_SITE.format(page=origin, api=cookies.origin), id="tenure.W002")
        for origin in other_sites(cookies.origin, cookies.allowed_origins)
    ]
    if block["STORE"] is None:
        if block["DATABASE"] not in connections:
            found.append(Error(f"settings.DATABASES has no {block['DATABASE']!r}.", id="tenure.E002"))
        elif connections[block["DATABASE"]].vendor not in SUPPORTED:
            message = "Sessions can be kept in PostgreSQL, MySQL and SQLite. Name another of DATABASES, or a STORE."
            found.append(Error(message, id="tenure.E003"))
        elif _locks_late(connections[block["DATABASE"]].settings_dict):
            found.append(Warning(_LOCKS_LATE, id="tenure.W003"))
    elif block["STORE"] == "memory://":
        found.append(Warning("The memory store forgets all sessions with the process.", id="tenure.W001"))
    if not str(block["ISSUER"]).startswith(("https://", "http://127.0.0.1", "http://localhost")):
        found.append(Error("ISSUER is the https address at which people reach this site.", id="tenure.E004"))
    return found


def _locks_late(database: Mapping[str, Any]) -> bool:
    sqlite = database["ENGINE"] == "django.db.backends.sqlite3"
    immediate = database["OPTIONS"].get("transaction_mode") in ("IMMEDIATE", "EXCLUSIVE")
    return sqlite and bool(database["ATOMIC_REQUESTS"]) and not immediate
