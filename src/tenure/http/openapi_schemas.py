"""What the description in openapi.py is made of: schemas of bodies (JSON Schema 2020-12), parameters, operations."""

from typing import Any

from tenure.http.messages import FORM_TYPE, JSON_TYPE

Schema = dict[str, Any]


def text(longest: int, shortest: int = 1) -> Schema:
    """Text of so many characters."""
    return {"type": "string", "minLength": shortest, "maxLength": longest}


def object_(required: list[str], **properties: Schema) -> Schema:
    """An object with these properties."""
    return {"type": "object", "properties": properties, "required": required}


FAILURES = {
    400: "The request was refused; error_description says why.",
    401: "The caller is not authenticated.",
    403: "The caller may not do this.",
    404: "There is no such thing.",
    413: "The body is too large.",
    415: "The body is of the wrong type.",
    429: "Too many attempts; Retry-After says when to try again.",
    503: "The store or the application did not respond; send the same request again.",
}


SCOPES = r"^([!#-\[\]-~]+( [!#-\[\]-~]+)*)?$"
SECONDS: Schema = {"type": "integer", "minimum": 0}
TOKEN = text(4096)
OPTIONAL_TEXT: Schema = {"type": ["string", "null"], "maxLength": 1024}

ATTEMPT_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The attempt key: a random value, the same for each try of this one refresh.",
    "schema": {"type": "string", "minLength": 16, "maxLength": 200, "pattern": "^[A-Za-z0-9_-]+$"},
}

SCHEMAS: dict[str, Schema] = {
    "Devices": object_(
        ["language", "devices", "activity", "message"],
        language={"type": "string"},
        message={"type": "string"},
        devices={
            "type": "array",
            "items": object_(
                ["id", "name", "current", "created_at", "last_used_at"],
                id={"type": "string"},
                name={"type": "string"},
                app={"type": "string"},
                current={"type": "boolean"},
                created_at=SECONDS,
                last_used_at=SECONDS,
                since={"type": "string"},
                last_used={"type": "string"},
                place={"type": "string"},
                bound={"enum": ["key", "device", None]},
                bound_text={"type": "string"},
            ),
        },
        activity={
            "type": "array",
            "items": object_(
                ["at", "text", "name"],
                at=SECONDS,
                time={"type": "string"},
                session_id={"type": "string"},
                text={"type": "string"},
                name={"type": "string"},
                place={"type": "string"},
                theft={"type": "boolean"},
                warning={"type": "string"},
            ),
        },
    ),
    "TokenPair": object_(
        ["access_token", "token_type", "expires_in", "refresh_expires_in", "session_id"],
        access_token={"type": "string"},
        token_type={"enum": ["Bearer", "DPoP"]},
        expires_in=SECONDS,
        refresh_token={"type": "string", "pattern": "^tnr1_[A-Za-z0-9_-]{112}$"},
        refresh_expires_in=SECONDS,
        refresh_token_expires_in=SECONDS,
        authorization_expires_in=SECONDS,
        session_id={"type": "string"},
        scope={"type": "string"},
    ),
    "Error": object_(
        ["error", "error_description"],
        error={"type": "string"},
        error_description={"type": "string"},
        reason={"type": "string"},
    ),
    "Sessions": object_(
        ["sessions"],
        sessions={
            "type": "array",
            "items": object_(
                [
                    "id",
                    "device",
                    "client_id",
                    "scope",
                    "created_at",
                    "last_used_at",
                    "expires_at",
                    "ends_at",
                    "lifetime",
                    "bound",
                ],
                id={"type": "string"},
                device={"type": "string"},
                client_id={"type": "string"},
                scope={"type": "string"},
                created_at=SECONDS,
                last_used_at=SECONDS,
                expires_at=SECONDS,
                current={"type": "boolean"},
                ends_at=SECONDS,
                lifetime={"type": "string"},
                bound={"enum": ["key", "device", None]},
            ),
        },
    ),
    "Device": object_(
        ["session_identifier", "refresh_url", "scope", "credentials"],
        session_identifier={"type": "string"},
        refresh_url={"type": "string"},
        scope={"type": "object"},
        credentials={"type": "array"},
    ),
    "SteppedUp": object_(["session_id", "auth_time"], session_id={"type": "string"}, auth_time=SECONDS),
    "Ended": object_(["ended"], ended={"type": "integer", "minimum": 0}),
    "Claims": object_(["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "sid", "auth_time"]),
    "Introspection": object_(["active"], active={"type": "boolean"}),
    "Revoked": object_(
        ["position", "keep_for", "revoked"],
        position={"type": "integer", "minimum": 0},
        keep_for={"type": "number"},
        revoked={
            "type": "array",
            "items": object_(["sid", "revoked_at"], sid={"type": "string"}, revoked_at={"type": "number"}),
        },
    ),
    "Audit": object_(
        ["entries"],
        entries={
            "type": "array",
            "items": object_(
                ["at", "kind", "session_id", "client_id", "device", "address", "reason", "by"],
                at={"type": "number"},
                kind={"enum": ["logged_in", "revoked"]},
                session_id={"type": "string"},
                client_id={"type": "string"},
                device={"type": "string"},
                address={"type": "string"},
                reason={"type": ["string", "null"]},
                by={"type": ["string", "null"]},
            ),
        },
    ),
    "Count": object_(["live"], live={"type": "integer", "minimum": 0}),
    "Overview": object_(
        ["now", "since", "live", "refreshed", "estimated", "by_client", "logins", "ended", "thefts"],
        now={"type": "number"},
        since={"type": "number"},
        live={"type": "integer", "minimum": 0},
        refreshed={"type": "integer", "minimum": 0},
        estimated={"type": "boolean"},
        by_client={"type": "object", "additionalProperties": {"type": "integer"}},
        logins={"type": "integer", "minimum": 0},
        ended={"type": "object", "additionalProperties": {"type": "integer"}},
        thefts={"type": "integer", "minimum": 0},
    ),
    "Anything": {"type": "object"},
}


def parameter(name: str, place: str, schema: Schema, *, required: bool = True) -> Schema:
    """A parameter of an operation. place: path, query or header."""
    return {"name": name, "in": place, "required": required, "schema": schema}


def operation(
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
    """An operation. answer: the name of its schema, or None for no content. failures: the statuses of its refusals."""
    success: Schema = {"description": "Done."}
    if answer is not None:
        success["content"] = {JSON_TYPE: {"schema": {"$ref": f"#/components/schemas/{answer}"}}}
    refused = {"content": {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Error"}}}}
    operation: Schema = {
        "summary": summary,
        "responses": {
            "204" if answer is None else "200": success,
            **{str(status): {"description": FAILURES[status], **refused} for status in sorted([*failures, 503])},
        },
    }
    if json is not None or form is not None:
        media = {JSON_TYPE: {"schema": json}} if form is None else {FORM_TYPE: {"schema": form}}
        operation["requestBody"] = {"required": body_required, "content": media}
        for status in (413, 415):
            operation["responses"][str(status)] = {"description": FAILURES[status], **refused}
    if parameters:
        operation["parameters"] = parameters
    if security:
        # The empty alternative: a client may also name itself in the form, without a header.
        operation["security"] = [{scheme: []} for scheme in security] + ([{}] if "client" in security else [])
    return operation


def failure(status: int) -> Schema:
    """A refusal, as JSON."""
    content = {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": FAILURES[status], "content": content}


def script(summary: str) -> Schema:
    """A module of JavaScript."""
    content = {"text/javascript": {"schema": {"type": "string"}}}
    return {"summary": summary, "responses": {"200": {"description": "Done.", "content": content}}}


SESSION_ID = parameter("id", "path", {"type": "string"})
