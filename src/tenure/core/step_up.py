"""Step-up authentication (RFC 9470): what a resource requires of how its user was authenticated.

Who lacks it authenticates once more, in the same session, and repeats the request with the next access token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tenure.core.access import Claims
from tenure.core.errors import ConfigurationError, InvalidAccessToken
from tenure.core.inputs import is_name

_MINUTE = 60.0


class InsufficientAuthentication(InvalidAccessToken):
    """The access token is valid, but its user has to be authenticated once more for this (RFC 9470 section 3).

    max_age: how long ago, in seconds, that may have been. acr_values: one of which its class has to be.
    """

    code = "insufficient_user_authentication"
    message = "Authenticate once more for this."

    def __init__(self, max_age: float | None = None, acr_values: Sequence[str] = (), *, scheme: str = "Bearer") -> None:
        super().__init__()
        self.max_age = None if max_age is None else int(max_age)
        self.acr_values = tuple(acr_values)
        self.scheme = scheme

    def challenge(self) -> str:
        """The value of WWW-Authenticate."""
        said = f'{self.scheme} realm="tenure", error="{self.code}", error_description="{self}"'
        if self.max_age is not None:
            said += f", max_age={self.max_age}"
        if self.acr_values:
            said += f', acr_values="{" ".join(self.acr_values)}"'
        return said


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a resource requires.

    max_age: how long ago, in seconds, the user may have been authenticated. acr_values: one of which the class of that
    authentication has to be.
    """

    max_age: float | None = None
    acr_values: tuple[str, ...] = ()

    def check(self, claims: Claims, now: float) -> None:
        """Raise InsufficientAuthentication unless an access token meets this at `now` (seconds, UTC)."""
        authenticated_at = claims.get("auth_time")
        timely = self.max_age is None or (
            isinstance(authenticated_at, int | float) and now - authenticated_at <= self.max_age
        )
        if not timely or (self.acr_values and claims.get("acr") not in self.acr_values):
            scheme = "Bearer" if claims.thumbprint is None else "DPoP"
            raise InsufficientAuthentication(self.max_age, self.acr_values, scheme=scheme)


def check_needs(needs: Requirement | None, claims: Claims, now: float) -> None:
    """Raise InsufficientAuthentication unless an access token meets what is needed, if anything."""
    if needs is None:
        return
    if not isinstance(needs, Requirement):
        raise ConfigurationError(f"needs is recent(…) or acr(…), not {type(needs).__name__}.")
    needs.check(claims, now)


def recent(*, minutes: float = 0.0, seconds: float = 0.0) -> Requirement:
    """Require that the user was authenticated within this time. Raises ConfigurationError for no time at all."""
    for given in (minutes, seconds):
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise ConfigurationError("recent takes numbers: recent(minutes=5).")
    age = minutes * _MINUTE + seconds
    if not 1 <= age < float("inf"):
        raise ConfigurationError("recent takes a time of one second or more: recent(minutes=5).")
    return Requirement(max_age=age)


def acr(*values: str) -> Requirement:
    """Require that the authentication was of one of these classes. Raises ConfigurationError for none."""
    if not values or not all(map(is_name, values)):
        raise ConfigurationError('acr takes names of classes, in ASCII and without spaces: acr("phr", "phrh").')
    return Requirement(acr_values=values)
