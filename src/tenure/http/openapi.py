"""GET /openapi.json: the description of the endpoints (OpenAPI 3.1).

Written by hand; a test checks it against the endpoints, with requests that it allows and requests that it forbids.
"""

from tenure.http.messages import JSON_TYPE, Request, Response, json_response
from tenure.http.openapi_schemas import (
    FAILURES,
    OPTIONAL_TEXT,
    SCHEMAS,
    SECONDS,
    TOKEN,
    Schema,
    object_,
    operation,
    parameter,
    text,
)
from tenure.http.service import Service, at_prefix


def document(service: Service, _: Request) -> Response:
    """The description of this service."""
    paths = {at_prefix(path, service.prefix): described for path, described in _PATHS.items()}
    content = {**DESCRIPTION, "paths": paths, "servers": [{"url": service.issuer.url}]}
    return json_response(content, cache="public, max-age=300")


_ATTEMPT_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The attempt key: a random value, the same for each try of this one refresh.",
    "schema": {"type": "string", "minLength": 16, "maxLength": 200, "pattern": "^[A-Za-z0-9_-]+$"},
}

_DEVICE_PROOF = parameter("Secure-Session-Response", "header", text(8192), required=False)
_SESSION_ID = parameter("id", "path", {"type": "string"})
_SUBJECT = parameter("subject", "query", text(255))
_SCOPES = r"^([!#-\[\]-~]+( [!#-\[\]-~]+)*)?$"
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
_OTHERS = parameter("others", "query", {"enum": ["true", "false"]}, required=False)
_CLIENT: dict[str, Schema] = {"client_id": {"type": "string"}, "client_secret": {"type": "string"}}
_OWN_TOKEN = object_([], refresh_token=TOKEN)
_ACCESS, _API_KEY = ["access_token"], ["api_key"]

_PATHS: dict[str, dict[str, Schema]] = {
    "/auth/login": {
        "post": operation(
            "Log in with a user name and a password",
            "TokenPair",
            [400, 403, 429],
            json=object_(
                ["username", "password"],
                username=text(255),
                password=text(1024),
                device=OPTIONAL_TEXT,
                transport={"enum": ["body", "cookie", None]},
                remember={"type": ["boolean", "null"]},
            ),
        )
    },
    "/auth/refresh": {
        "post": operation(
            "Exchange the refresh token, of the body or of the cookie, for a new pair",
            "TokenPair",
            [400, 403, 429],
            json=_OWN_TOKEN,
            body_required=False,
            parameters=[_ATTEMPT_KEY],
        )
    },
    "/auth/logout": {
        "post": operation(
            "End this session, named by its refresh token or its access token",
            None,
            [400, 401, 403],
            json=_OWN_TOKEN,
            body_required=False,
        )
    },
    "/auth/step-up": {
        "post": operation(
            "Give the password once more, for what requires a recent authentication",
            "SteppedUp",
            [400, 401, 403, 429],
            json=object_(["username", "password"], username=text(255), password=text(1024)),
            security=_ACCESS,
        )
    },
    "/auth/me": {"get": operation("The claims of the caller", "Claims", [401], security=_ACCESS)},
    "/auth/sessions": {
        "get": operation("The caller's live sessions", "Sessions", [401, 403], security=_ACCESS),
        "delete": operation(
            "End all of the caller's sessions, or all others",
            "Ended",
            [400, 401, 403],
            parameters=[_OTHERS],
            security=_ACCESS,
        ),
    },
    "/auth/sessions/{id}": {
        "delete": operation(
            "End one of the caller's sessions", None, [401, 403, 404], parameters=[_SESSION_ID], security=_ACCESS
        )
    },
    "/auth/continue": {
        "get": {
            "summary": "For pages without JavaScript: refresh, and go on to a path of this site",
            "parameters": [
                parameter("to", "query", text(4096), required=False),
                parameter("again", "query", {"const": "1"}, required=False),
            ],
            "responses": {
                "200": {"description": "Asks once more, from here.", "content": {"text/html": {}}},
                "303": {"description": "On to that path, or to the login page."},
                "400": {
                    "description": FAILURES[400],
                    "content": {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Error"}}},
                },
                "401": {"description": "There is no session, and no login page.", "content": {"text/html": {}}},
                "503": {
                    "description": FAILURES[503],
                    "content": {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Error"}}},
                },
            },
        }
    },
    "/auth/dbsc/register": {
        "post": operation(
            "For browsers: bind this session to a key of the device", "Device", [400, 404], parameters=[_DEVICE_PROOF]
        )
    },
    "/auth/dbsc/refresh": {
        "post": operation(
            "For browsers: prove the device's key, so that the next refreshes are accepted",
            "Device",
            [400, 403, 404],
            parameters=[
                parameter("Sec-Secure-Session-Id", "header", {"type": "string"}, required=False),
                _DEVICE_PROOF,
            ],
        )
    },
    "/auth/verify": {
        "get": operation(
            "For proxies: whose access token this is, in headers",
            None,
            [400, 401],
            parameters=[
                parameter("max_age", "query", {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}, required=False),
                parameter("acr_values", "query", {"type": "string", "pattern": _SCOPES}, required=False),
            ],
            security=_ACCESS,
        )
    },
    "/auth/revoked": {
        "get": operation(
            "For verifiers: the sessions that were ended after a position, as soon as there is one",
            "Revoked",
            [400],
            parameters=[
                parameter("since", "query", SECONDS, required=False),
                parameter("wait", "query", {**SECONDS, "maximum": 30}, required=False),
            ],
        )
    },
    "/auth/tenure.js": {
        "get": {
            "summary": "The browser module",
            "responses": {
                "200": {"description": "Done.", "content": {"text/javascript": {"schema": {"type": "string"}}}}
            },
        }
    },
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
            parameters=[_ATTEMPT_KEY],
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
        "delete": operation("End one session", None, [401, 404], parameters=[_SESSION_ID], security=_API_KEY)
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

DESCRIPTION: Schema = {
    "openapi": "3.1.0",
    "info": {"title": "tenure", "version": "1", "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
    "components": {
        "schemas": SCHEMAS,
        "securitySchemes": {
            "access_token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "api_key": {"type": "http", "scheme": "bearer"},
            "client": {"type": "http", "scheme": "basic"},
        },
    },
    "paths": _PATHS,
}
