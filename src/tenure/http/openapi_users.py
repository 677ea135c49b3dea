"""The description of the endpoints for users' apps, below /auth, and of those for verifiers."""

from tenure.http.messages import FORM_TYPE, JSON_TYPE
from tenure.http.openapi_schemas import (
    ATTEMPT_KEY,
    OPTIONAL_TEXT,
    SCOPES,
    SECONDS,
    SESSION_ID,
    TOKEN,
    Schema,
    failure,
    object_,
    operation,
    parameter,
    script,
    text,
)

_DEVICE_PROOF = parameter("Secure-Session-Response", "header", text(8192), required=False)
_OTHERS = parameter("others", "query", {"enum": ["true", "false"]}, required=False)
_OWN_TOKEN = object_([], refresh_token=TOKEN)
_ACCESS = ["access_token"]
_ENDED = "^([0-9a-f]{32}|others)$"
_DEVICES: Schema = {
    "200": {
        "description": "The page.",
        "content": {"text/html": {}, JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Devices"}}},
    },
    "401": failure(401),
    "403": failure(403),
    "503": failure(503),
}

USERS: dict[str, dict[str, Schema]] = {
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
            parameters=[ATTEMPT_KEY],
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
            "End one of the caller's sessions", None, [401, 403, 404], parameters=[SESSION_ID], security=_ACCESS
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
                "400": failure(400),
                "401": {"description": "There is no session, and no login page.", "content": {"text/html": {}}},
                "503": failure(503),
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
                parameter("acr_values", "query", {"type": "string", "pattern": SCOPES}, required=False),
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
    "/auth/devices": {
        "get": {
            "summary": "Your devices: a page, or the same as JSON, by the Accept header",
            "parameters": [
                parameter("again", "query", {"type": "string"}, required=False),
                parameter("Accept-Language", "header", {"type": "string"}, required=False),
            ],
            "responses": {**_DEVICES, "303": {"description": "To refresh, or to the login page."}},
            "security": [{"access_token": []}],
        },
        "post": {
            "summary": "The page's form: end the session of this id, or all others",
            "requestBody": {
                "required": True,
                "content": {FORM_TYPE: {"schema": object_(["end"], end={"type": "string", "pattern": _ENDED})}},
            },
            "responses": {
                **_DEVICES,
                "204": {"description": "The session of this request has ended."},
                "303": {"description": "Back to the page."},
                "400": failure(400),
                "415": failure(415),
            },
            "security": [{"access_token": []}],
        },
    },
    "/auth/tenure.js": {"get": script("The browser module")},
    "/auth/devices.js": {"get": script("The element <tenure-devices>")},
}
