"""The description of the endpoints for OAuth clients and for services with an API key, and of what is public."""

from tenure.http.openapi_schemas import (
    ATTEMPT_KEY,
    OPTIONAL_TEXT,
    SESSION_ID,
    TOKEN,
    Schema,
    object_,
    operation,
    parameter,
    text,
)

_SUBJECT = parameter("subject", "query", text(255))
_NAME = "^[A-Za-z0-9_.:-]{1,100}$"
_NUMBER: Schema = {"type": "number", "minimum": 0, "maximum": 4_000_000_000}
_WHICH = [
    parameter("client_id", "query", text(100, 0), required=False),
    parameter("device", "query", text(200, 0), required=False),
    parameter("before", "query", _NUMBER, required=False),
]
_PAGE = [
    parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000}, required=False),
    parameter(
        "cursor", "query", {"type": "string", "pattern": "^([0-9]{1,19}:[0-9a-f]{32}|[0-9a-f]{32}|)$"}, required=False
    ),
]
_OF_SUBJECT = parameter("subject", "query", text(255), required=False)
_CLIENT: dict[str, Schema] = {"client_id": {"type": "string"}, "client_secret": {"type": "string"}}
_API_KEY = ["api_key"]

SERVICES: dict[str, dict[str, Schema]] = {
    "/oauth/token": {
        "post": operation(
            "RFC 6749 section 6: refresh",
            "TokenPair",
            [400, 401, 429],
            form=object_(
                ["grant_type", "refresh_token"],
                grant_type={"const": "refresh_token"},
                refresh_token=TOKEN,
                scope={"type": "string"},
                **_CLIENT,
            ),
            parameters=[ATTEMPT_KEY],
            security=["client"],
        )
    },
    "/oauth/revoke": {
        "post": operation(
            "RFC 7009: end the session of a token",
            "Anything",
            [400, 401],
            form=object_(["token"], token=text(8192), token_type_hint={"type": "string"}, **_CLIENT),
            security=["client"],
        )
    },
    "/oauth/introspect": {
        "post": operation(
            "RFC 7662: what a token says, and whether it is active",
            "Introspection",
            [400, 401],
            form=object_(["token"], token=text(8192), token_type_hint={"type": "string"}, **_CLIENT),
            security=["client", "api_key"],
        )
    },
    "/admin/sessions": {
        "post": operation(
            "Make a session for a person whom the caller has authenticated",
            "TokenPair",
            [400, 401],
            json=object_(
                ["subject"],
                subject=text(255),
                client_id={"type": ["string", "null"], "maxLength": 100},
                scope={"type": ["string", "null"], "maxLength": 1000},
                claims={"type": ["object", "null"]},
                device=OPTIONAL_TEXT,
                address={"type": ["string", "null"], "maxLength": 200},
                lifetime={"enum": ["remembered", "browser", None]},
                acr={"type": ["string", "null"], "pattern": _NAME},
                amr={"type": ["array", "null"], "maxItems": 10, "items": {"type": "string", "pattern": _NAME}},
            ),
            security=_API_KEY,
        ),
        "get": operation(
            "Live sessions, of a subject or the latest of all, in pages",
            "Sessions",
            [400, 401],
            parameters=[_OF_SUBJECT, *_WHICH, *_PAGE],
            security=_API_KEY,
        ),
        "delete": operation(
            "End all sessions of a subject, or those that are meant",
            "Ended",
            [400, 401],
            parameters=[_OF_SUBJECT, *_WHICH, parameter("all", "query", {"const": "true"}, required=False)],
            security=_API_KEY,
        ),
    },
    "/admin/sessions/{id}": {
        "delete": operation("End one session", None, [401, 404], parameters=[SESSION_ID], security=_API_KEY)
    },
    "/admin/sessions/count": {
        "get": operation("How many live sessions are meant", "Count", [400, 401], parameters=_WHICH, security=_API_KEY)
    },
    "/admin/overview": {
        "get": operation(
            "How many sessions there are, and what has happened lately",
            "Overview",
            [400, 401],
            parameters=[parameter("since", "query", _NUMBER, required=False)],
            security=_API_KEY,
        )
    },
    "/admin/audit": {
        "get": operation(
            "The audit trail of a subject, the latest entry first",
            "Audit",
            [400, 401],
            parameters=[_SUBJECT],
            security=_API_KEY,
        )
    },
    "/.well-known/oauth-authorization-server": {"get": operation("RFC 8414: the metadata", "Anything", [])},
    "/.well-known/jwks.json": {"get": operation("RFC 7517: the public keys", "Anything", [])},
    "/openapi.json": {"get": operation("This document", "Anything", [])},
    "/healthz": {"get": operation("Whether the process answers", "Anything", [])},
    "/readyz": {"get": operation("Whether the store answers, too", "Anything", [])},
}
