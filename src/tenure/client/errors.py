"""What a client raises and reports: nobody is logged in, the server did not respond, a storage can't be used."""

from dataclasses import dataclass
from typing import Literal

from tenure.core.errors import TenureError


class SignedOut(TenureError):
    """Nobody is logged in; a fresh login is needed. `reason` says why, if known."""

    code = "invalid_grant"

    def __init__(self, reason: str | None, message: str | None = None) -> None:
        over = "Nobody is logged in." if reason is None else f"The session is over ({reason}). Log in again."
        super().__init__(message or over)
        self.reason = reason


class RefreshFailed(TenureError):
    """The server gave no definite response. The session is kept; try again later."""

    code = "temporarily_unavailable"


class OriginRefused(TenureError):
    """The request goes to an origin that may not get this session's token."""

    code = "invalid_request"


class StorageFailed(TenureError):
    """A storage can't be read or written. Its contents are left unchanged."""

    code = "temporarily_unavailable"


class StepUpRequired(TenureError):
    """A resource asks its user to authenticate once more (RFC 9470).

    max_age: how long ago, in seconds, that may have been, if it says. acr_values: one of which its class has to be.
    """

    code = "insufficient_user_authentication"
    message = "This asks the user to authenticate once more."

    def __init__(self, max_age: int | None, acr_values: tuple[str, ...]) -> None:
        super().__init__()
        self.max_age = max_age
        self.acr_values = acr_values


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """What happened to the session.

    reason: for `signed_out`, what the server says, or `logged_out`; for `storage_failed`, what is wrong with the
    storage (the session goes on in memory); for `token_refused`, the origin that refuses even a new access token.
    `not_bound`: the session was to be bound to a key, but the server does not do that. `step_up_required`: a resource
    asks the user to authenticate once more; reason: the classes of authentication that it accepts, if it names any.
    """

    kind: Literal[
        "signed_in", "refreshed", "signed_out", "storage_failed", "token_refused", "not_bound", "step_up_required"
    ]
    reason: str | None = None
