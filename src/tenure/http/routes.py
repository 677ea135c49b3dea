"""The table of all endpoints, by path and method."""

from collections.abc import Mapping

from tenure.http import admin, auth, dbsc, devices, discovery, oauth, openapi, pages, sessions, verification
from tenure.http.service import Endpoint, at_prefix

Table = Mapping[str, Mapping[str, Endpoint]]

ROUTES: Table = {
    "/auth/login": {"POST": auth.login},
    "/auth/refresh": {"POST": auth.refresh},
    "/auth/logout": {"POST": auth.logout},
    "/auth/step-up": {"POST": auth.step_up},
    "/auth/me": {"GET": auth.me},
    "/auth/sessions": {"GET": sessions.list_sessions, "DELETE": sessions.end_sessions},
    "/auth/sessions/{id}": {"DELETE": sessions.end_session},
    "/auth/devices": {"GET": devices.show, "POST": devices.act},
    "/auth/tenure.js": {"GET": discovery.browser_module},
    "/auth/devices.js": {"GET": discovery.devices_element},
    "/auth/continue": {"GET": pages.continue_},
    "/auth/dbsc/register": {"POST": dbsc.register},
    "/auth/dbsc/refresh": {"POST": dbsc.refresh},
    "/auth/verify": {"GET": verification.verify},
    "/auth/revoked": {"GET": verification.revoked},
    "/oauth/token": {"POST": oauth.token},
    "/oauth/revoke": {"POST": oauth.revoke},
    "/oauth/introspect": {"POST": oauth.introspect},
    "/admin/sessions": {
        "POST": admin.create_session,
        "GET": admin.list_sessions,
        "DELETE": admin.end_sessions,
    },
    "/admin/sessions/count": {"GET": admin.count_sessions},
    "/admin/overview": {"GET": admin.show_overview},
    "/admin/sessions/{id}": {"DELETE": admin.end_session},
    "/admin/audit": {"GET": admin.list_audit},
    "/.well-known/oauth-authorization-server": {"GET": discovery.metadata},
    "/.well-known/jwks.json": {"GET": discovery.jwks},
    "/openapi.json": {"GET": openapi.document},
    "/healthz": {"GET": discovery.healthz},
    "/readyz": {"GET": discovery.readyz},
}


def below(prefix: str, table: Table) -> Table:
    """`table` with `prefix` in place of /auth."""
    return {at_prefix(path, prefix): endpoints for path, endpoints in table.items()}
