"""GET /openapi.json: the description of the endpoints (OpenAPI 3.1).

Written by hand; a test checks it against the endpoints, with requests that it allows and requests that it forbids.
"""

from tenure.http.messages import FORM_TYPE, JSON_TYPE, Request, Response, json_response
from tenure.http.openapi_schemas import OPTIONAL_TEXT, SCHEMAS, SECONDS, TOKEN, Schema, object_, text
from tenure.http.service import Service, at_prefix


def document(service: Service, _: Request) -> Response:
    """The description of this service."""
    paths = {at_prefix(path, service.prefix): described for path, described in _PATHS.items()}
    content = {**DESCRIPTION, "paths": paths, "servers": [{"url": service.issuer.url}]}
    return json_response(content, cache="public, max-age=300")


_FAILURES = {
    400: "The request was refused; error_description says why.",
    401: "The caller is not authenticated.",
    403: "The caller may not do this.",
    404: "There is no such thing.",
    413: "The body is too large.",
    415: "The body is of the wrong type.",
    429: "Too many attempts; Retry-After says when to try again.",
    503: "The store or the application did not respond; send the same request again.",
}

_ATTEMPT_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The attempt key: a random value, the same for each try of this one refresh.",
    "schema": {"type": "string", "minLength": 16, "maxLength": 200, "pattern": "^[A-Za-z0-9_-]+$"},
}


def _parameter(name: str, place: str, schema: Schema, *, required: bool = True) -> Schema:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _operation(
    summary: str,
    answer: str | None,
    failures: list[int],
    *,
    json: Schema | None = None,
    body_required: bool = True,
    form: Schema | None = None,
    parameters: list[Schema] | None = None,
    security: list[str] | None = None,
) -> Schema:
    success: Schema = {"description": "Done."}
    if answer is not None:
        success["content"] = {JSON_TYPE: {"schema": {"$ref": f"#/components/schemas/{answer}"}}}
    refused = {"content": {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Error"}}}}
    operation: Schema = {
        "summary": summary,
        "responses": {
            "204" if answer is None else "200": success,
            **{str(status): {"description": _FAILURES[status], **refused} for status in sorted([*failures, 503])},
        },
    }
    if json is not None or form is not None:
        media = {JSON_TYPE: {"schema": json}} if form is None else {FORM_TYPE: {"schema": form}}
        operation["requestBody"] = {"required": body_required, "content": media}
        for status in (413, 415):
            operation["responses"][str(status)] = {"description": _FAILURES[status], **refused}
    if parameters:
        operation["parameters"] = parameters
    if security:
        # The empty alternative: a client may also name itself in the form, without a header.
        operation["security"] = [{scheme: []} for scheme in security] + ([{}] if "client" in security else [])
    return operation


_SESSION_ID = _parameter("id", "path", {"type": "string"})
_SUBJECT = _parameter("subject", "query", text(255))
_NUMBER: Schema = {"type": "number", "minimum": 0, "maximum": 4_000_000_000}
_WHICH = [
    _parameter("client_id", "query", text(100, 0), required=False),
    _parameter("device", "query", text(200, 0), required=False),
    _parameter("before", "query", _NUMBER, required=False),
]
_PAGE = [
    _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": 1000}, required=False),
    _parameter(
        "cursor", "query", {"type": "string", "pattern": "^([0-9]{1,19}:[0-9a-f]{32}|[0-9a-f]{32}|)$"}, required=False
    ),
]
_OF_SUBJECT = _parameter("subject", "query", text(255), required=False)
_OTHERS = _parameter("others", "query", {"enum": ["true", "false"]}, required=False)
_CLIENT: dict[str, Schema] = {"client_id": {"type": "string"}, "client_secret": {"type": "string"}}
_OWN_TOKEN = object_([], refresh_token=TOKEN)
_ACCESS, _API_KEY = ["access_token"], ["api_key"]

_PATHS: dict[str, dict[str, Schema]] = {
    "/auth/login": {
        "post": _operation(
            "Log in with a user name and a password",
            "TokenPair",
            [400, 403, 429],
            json=object_(
                ["username", "password"],
                username=text(255),
                password=text(1024),
                device=OPTIONAL_TEXT,
                transport={"enum": ["body", "cookie", None]},
            ),
        )
    },
    "/auth/refresh": {
        "post": _operation(
            "Exchange the refresh token, of the body or of the cookie, for a new pair",
            "TokenPair",
            [400, 403, 429],
            json=_OWN_TOKEN,
            body_required=False,
            parameters=[_ATTEMPT_KEY],
        )
    },
    "/auth/logout": {
        "post": _operation(
            "End this session, named by its refresh token or its access token",
            None,
            [400, 401, 403],
            json=_OWN_TOKEN,
            body_required=False,
        )
    },
    "/auth/me": {"get": _operation("The claims of the caller", "Claims", [401], security=_ACCESS)},
    "/auth/sessions": {
        "get": _operation("The caller's live sessions", "Sessions", [401, 403], security=_ACCESS),
        "delete": _operation(
            "End all of the caller's sessions, or all others",
            "Ended",
            [400, 401, 403],
            parameters=[_OTHERS],
            security=_ACCESS,
        ),
    },
    "/auth/sessions/{id}": {
        "delete": _operation(
            "End one of the caller's sessions", None, [401, 403, 404], parameters=[_SESSION_ID], security=_ACCESS
        )
    },
    "/auth/continue": {
        "get": {
            "summary": "For pages without JavaScript: refresh, and go on to a path of this site",
            "parameters": [
                _parameter("to", "query", text(4096), required=False),
                _parameter("again", "query", {"const": "1"}, required=False),
            ],
            "responses": {
                "200": {"description": "Asks once more, from here.", "content": {"text/html": {}}},
                "303": {"description": "On to that path, or to the login page."},
                "400": {
                    "description": _FAILURES[400],
                    "content": {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Error"}}},
                },
                "401": {"description": "There is no session, and no login page.", "content": {"text/html": {}}},
                "503": {
                    "description": _FAILURES[503],
                    "content": {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Error"}}},
                },
            },
        }
    },
    "/auth/verify": {
        "get": _operation("For proxies: whose access token this is, in headers", None, [401], security=_ACCESS)
    },
    "/auth/revoked": {
        "get": _operation(
            "For verifiers: the sessions that were ended after a position, as soon as there is one",
            "Revoked",
            [400],
            parameters=[
                _parameter("since", "query", SECONDS, required=False),
                _parameter("wait", "query", {**SECONDS, "maximum": 30}, required=False),
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
        "post": _operation(
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
        "post": _operation(
            "RFC 7009: end the session of a token",
            "Anything",
            [400, 401],
            form=object_(["token"], token=text(8192), token_type_hint={"type": "string"}, **_CLIENT),
            security=["client"],
        )
    },
    "/oauth/introspect": {
        "post": _operation(
            "RFC 7662: what a token says, and whether it is active",
            "Introspection",
            [400, 401],
            form=object_(["token"], token=text(8192), token_type_hint={"type": "string"}, **_CLIENT),
            security=["client", "api_key"],
        )
    },
    "/admin/sessions": {
        "post": _operation(
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
            ),
            security=_API_KEY,
        ),
        "get": _operation(
            "Live sessions, of a subject or the latest of all, in pages",
            "Sessions",
            [400, 401],
            parameters=[_OF_SUBJECT, *_WHICH, *_PAGE],
            security=_API_KEY,
        ),
        "delete": _operation(
            "End all sessions of a subject, or those that are meant",
            "Ended",
            [400, 401],
            parameters=[_OF_SUBJECT, *_WHICH, _parameter("all", "query", {"const": "true"}, required=False)],
            security=_API_KEY,
        ),
    },
    "/admin/sessions/{id}": {
        "delete": _operation("End one session", None, [401, 404], parameters=[_SESSION_ID], security=_API_KEY)
    },
    "/admin/sessions/count": {
        "get": _operation("How many live sessions are meant", "Count", [400, 401], parameters=_WHICH, security=_API_KEY)
    },
    "/admin/overview": {
        "get": _operation(
            "How many sessions there are, and what has happened lately",
            "Overview",
            [400, 401],
            parameters=[_parameter("since", "query", _NUMBER, required=False)],
            security=_API_KEY,
        )
    },
    "/admin/audit": {
        "get": _operation(
            "The audit trail of a subject, the latest entry first",
            "Audit",
            [400, 401],
            parameters=[_SUBJECT],
            security=_API_KEY,
        )
    },
    "/.well-known/oauth-authorization-server": {"get": _operation("RFC 8414: the metadata", "Anything", [])},
    "/.well-known/jwks.json": {"get": _operation("RFC 7517: the public keys", "Anything", [])},
    "/openapi.json": {"get": _operation("This document", "Anything", [])},
    "/healthz": {"get": _operation("Whether the process answers", "Anything", [])},
    "/readyz": {"get": _operation("Whether the store answers, too", "Anything", [])},
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
