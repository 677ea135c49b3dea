"""The errors: one tree, whose names say what was wrong, each with the code that OAuth registers for it.

`code` is what goes out as `error` (RFC 6749 section 5.2, RFC 6750 section 3.1), the message is the
`error_description`. No message ever contains a token, a secret or a password.
"""

from typing import ClassVar


class TenureError(Exception):
    """Anything that tenure refuses. `code` is the OAuth error code, `reason` says why a session ended."""

    code: ClassVar[str] = "server_error"
    message: ClassVar[str] = "The request was refused."
    reason: str | None = None

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)


class ConfigurationError(TenureError):
    """A setting or an argument of the application makes no sense. The message says which and what is right."""


class InvalidRequest(TenureError):
    """The request is malformed: a parameter is missing, repeated, or of the wrong shape (RFC 6749 section 5.2)."""

    code = "invalid_request"


class InvalidScope(TenureError):
    """More scope was asked for than was granted (RFC 6749 section 6)."""

    code = "invalid_scope"
    message = "The scope may be narrowed, not widened: log in again to get more."


class UnsupportedGrantType(TenureError):
    """A grant other than the refresh token was asked for (RFC 6749 section 5.2)."""

    code = "unsupported_grant_type"
    message = "Only grant_type=refresh_token is supported here."


class InvalidClient(TenureError):
    """The client could not be authenticated (RFC 6749 section 5.2)."""

    code = "invalid_client"
    message = "The client is unknown or its secret is wrong."


class InvalidGrant(TenureError):
    """The refresh token or the credentials can't be honoured (RFC 6749 section 5.2)."""

    code = "invalid_grant"


class ForgedToken(InvalidGrant):
    """No refresh token of this deployment: made up, cut, mistyped, or sealed with another secret."""

    message = "This is no refresh token of this service. Log in again."
    reason = "unknown"


class WrongClient(InvalidGrant):
    """A genuine refresh token, presented by a client that it was not issued to."""

    message = "This refresh token was issued to another client."


class SessionEnded(InvalidGrant):
    """The session is over, a fresh login is needed: `reason` is expired, revoked, reuse_detected or unknown."""

    def __init__(self, reason: str) -> None:
        super().__init__(_ENDED[reason])
        self.reason = reason


_ENDED = {
    "expired": "The session has expired. Log in again.",
    "revoked": "The session was ended. Log in again.",
    "reuse_detected": "An old refresh token was presented, so that this session was ended for safety. Log in again.",
    "unknown": "The session is not known here. Log in again.",
}


class LoginRefused(InvalidGrant):
    """The person may not have (another) session: the account is gone, or its limit of sessions is reached."""


class InvalidAccessToken(TenureError):
    """The access token is malformed, expired, for somebody else, or of a session that was ended (RFC 6750)."""

    code = "invalid_token"
    message = "The access token is not valid."


class ExpiredAccessToken(InvalidAccessToken):
    """A genuine access token whose time is over: refresh it."""

    message = "The access token has expired. Refresh it."
    reason = "expired"


class RevokedAccessToken(InvalidAccessToken):
    """A genuine access token of a session that was ended: log in again."""

    message = "The session of this access token was ended. Log in again."
    reason = "revoked"


class InsufficientScope(TenureError):
    """The access token is good, but not for this (RFC 6750 section 3.1)."""

    code = "insufficient_scope"


class ApplicationFailed(TenureError):
    """Code of the application raised (claims, authenticator, throttle); its exception is the `__cause__`.

    It was asked before anything was written, so nothing has changed: the same request may be sent again.
    """

    code = "temporarily_unavailable"
    message = "The application could not be asked. Nothing has changed; try again shortly."


class StoreUnavailable(TenureError):
    """The store did not answer. Whether it made the change is not known; sending the same request again is right.

    `detail` is the server's own reason, for operators: it is in no answer to a caller.
    """

    code = "temporarily_unavailable"
    message = "The session store can't be reached right now. Try again shortly."

    def __init__(self, message: str | None = None, *, detail: str | None = None) -> None:
        super().__init__(message)
        self.detail = detail


class SchemaTooNew(ConfigurationError):
    """The store was written by a newer version of tenure than this one."""
