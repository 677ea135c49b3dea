"""The schemas of bodies, for the description in openapi.py (JSON Schema 2020-12)."""

from typing import Any

Schema = dict[str, Any]


def text(longest: int, shortest: int = 1) -> Schema:
    """Text of so many characters."""
    return {"type": "string", "minLength": shortest, "maxLength": longest}


def object_(required: list[str], **properties: Schema) -> Schema:
    """An object with these properties."""
    return {"type": "object", "properties": properties, "required": required}


SECONDS: Schema = {"type": "integer", "minimum": 0}
TOKEN = text(4096)
OPTIONAL_TEXT: Schema = {"type": ["string", "null"], "maxLength": 1024}

SCHEMAS: dict[str, Schema] = {
    "TokenPair": object_(
        ["access_token", "token_type", "expires_in", "refresh_expires_in", "session_id"],
        access_token={"type": "string"},
        token_type={"enum": ["Bearer", "DPoP"]},
        expires_in=SECONDS,
        refresh_token={"type": "string", "pattern": "^tnr1_[A-Za-z0-9_-]{112}$"},
        refresh_expires_in=SECONDS,
        session_id={"type": "string"},
        scope={"type": "string"},
    ),
    "Error": object_(
        ["error", "error_description"],
        error={"type": "string"},
        error_description={"type": "string"},
        reason={"enum": ["expired", "revoked", "reuse_detected", "unknown"]},
    ),
    "Sessions": object_(
        ["sessions"],
        sessions={
            "type": "array",
            "items": object_(
                ["id", "device", "client_id", "scope", "created_at", "last_used_at", "expires_at", "bound"],
                id={"type": "string"},
                device={"type": "string"},
                client_id={"type": "string"},
                scope={"type": "string"},
                created_at=SECONDS,
                last_used_at=SECONDS,
                expires_at=SECONDS,
                current={"type": "boolean"},
            ),
        },
    ),
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
