"""The errors: one hierarchy, whose names say what was wrong, each with its OAuth error code.

Responses carry `code` as `error` (RFC 6749 section 5.2, RFC 6750 section 3.1) and the message as `error_description`.
No message contains a token, a secret or a password.
"""

from typing import ClassVar


class TenureError(Exception):
    """Base of all errors. `code` is the OAuth error code, `reason` says why a session ended."""

    code: ClassVar[str] = "server_error"
    message: ClassVar[str] = "The request was refused."
    reason: str | None = None

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)


class ConfigurationError(TenureError):
    """A setting or an argument is invalid. The message says which one, and what is valid."""


class InvalidRequest(TenureError):
    """The request is malformed: a parameter is missing, repeated, or of the wrong shape (RFC 6749 section 5.2)."""

    code = "invalid_request"


class InvalidScope(TenureError):
    """The requested scope exceeds the granted one (RFC 6749 section 6)."""

    code = "invalid_scope"
    message = "The scope may be narrowed, not widened: log in again to get more."


class UnsupportedGrantType(TenureError):
    """The grant type is not refresh_token (RFC 6749 section 5.2)."""

    code = "unsupported_grant_type"
    message = "Only grant_type=refresh_token is supported here."


class InvalidClient(TenureError):
    """The client could not be authenticated (RFC 6749 section 5.2)."""

    code = "invalid_client"
    message = "The client is unknown or its secret is wrong."


class InvalidGrant(TenureError):
    """The refresh token or the credentials are invalid (RFC 6749 section 5.2)."""

    code = "invalid_grant"


class ForgedToken(InvalidGrant):
    """Not a refresh token of this deployment: forged, truncated, mistyped, or sealed with another secret."""

    message = "This is not a refresh token of this service. Log in again."
    reason = "unknown"


class WrongClient(InvalidGrant):
    """A genuine refresh token, presented by a client it was not issued to."""

    message = "This refresh token was issued to another client."


class SessionEnded(InvalidGrant):
    """The session has ended and a fresh login is needed. `reason` is expired, revoked, reuse_detected or unknown."""

    def __init__(self, reason: str) -> None:
        super().__init__(_ENDED[reason])
        self.reason = reason


_ENDED = {
    "expired": "The session has expired. Log in again.",
    "revoked": "The session was ended. Log in again.",
    "reuse_detected": "An old refresh token was presented, so that this session was ended for safety. Log in again.",
    "unknown": "The session is not known here. Log in again.",
}


class StolenTokenRefused(InvalidGrant):
    """A genuine token of a session that is bound to a key, without a proof of that key: it was copied.

    Nothing has changed. The session's owner is not logged out.
    """

    message = "This session is bound to a key, and the request does not show it. Log in again."


class InvalidProof(TenureError):
    """The DPoP proof is missing, malformed, or not for this request (RFC 9449 section 5)."""

    code = "invalid_dpop_proof"
    message = "A DPoP proof is needed."

    def __init__(self, message: str | None = None, reason: str | None = "missing") -> None:
        super().__init__(message)
        self.reason = reason


class InvalidDeviceProof(InvalidProof):
    """The browser's proof of its device's key is missing, malformed, late, or of another key (DBSC, section 9.10)."""

    code = "invalid_device_proof"
    message = "A proof of the device's key is needed: Secure-Session-Response."


class DeviceProofDelayed(TenureError):
    """The browser could not show its device's key just now. Nothing has changed; nobody is logged out."""

    code = "temporarily_unavailable"
    message = "This session is bound to a device, which the browser could not show just now. Try again shortly."


class UseNonce(InvalidProof):
    """The DPoP proof needs the server's `nonce`: make another one with it (RFC 9449 section 8)."""

    code = "use_dpop_nonce"
    message = "The proof needs a nonce of this server: the one in the DPoP-Nonce header."

    def __init__(self, nonce: str) -> None:
        super().__init__(reason=None)
        self.nonce = nonce


class LoginRefused(InvalidGrant):
    """The user can't have another session: the account is gone, or its limit of sessions is reached."""


class InvalidAccessToken(TenureError):
    """The access token is malformed, expired, for another audience, or of a session that has ended (RFC 6750)."""

    code = "invalid_token"
    message = "The access token is not valid."


class ExpiredAccessToken(InvalidAccessToken):
    """A genuine access token that has expired: refresh it."""

    message = "The access token has expired. Refresh it."
    reason = "expired"


class RevokedAccessToken(InvalidAccessToken):
    """A genuine access token of a session that has ended: log in again."""

    message = "The session of this access token was ended. Log in again."
    reason = "revoked"


class ProofRequired(InvalidAccessToken):
    """The access token is bound to a key, and came without a good proof of it (RFC 9449 section 7.1)."""

    message = "This access token is bound to a key: send it as Authorization: DPoP, with a proof of that key."


class ProofRefused(ProofRequired):
    """The access token is bound to a key, and the proof that came with it is not good (RFC 9449 section 7.1)."""

    code = "invalid_dpop_proof"

    def __init__(self, message: str, reason: str | None) -> None:
        super().__init__(message)
        self.reason = reason


class InsufficientScope(TenureError):
    """The access token is valid, but does not allow this (RFC 6750 section 3.1)."""

    code = "insufficient_scope"


class ApplicationFailed(TenureError):
    """Code of the application raised (claims, authenticator, throttle); its exception is the `__cause__`.

    The application is asked before anything is written, so nothing has changed. Send the same request again.
    """

    code = "temporarily_unavailable"
    message = "The application could not be asked. Nothing has changed; try again shortly."


class StoreUnavailable(TenureError):
    """The store did not respond, and may or may not have made the change. Send the same request again.

    `detail` is the server's own reason, for operators. No response contains it.
    """

    code = "temporarily_unavailable"
    message = "The session store can't be reached right now. Try again shortly."

    def __init__(self, message: str | None = None, *, detail: str | None = None) -> None:
        super().__init__(message)
        self.detail = detail


class SchemaTooNew(ConfigurationError):
    """The store was written by a newer version of tenure than this one."""
