"""For Django REST framework: authentication by access token, and permissions that require a recent or a strong one.

REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["tenure.integrations.django.rest_framework.TenureAuthentication"]}
"""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.permissions import BasePermission

from tenure.core import step_up
from tenure.core.access import Claims
from tenure.core.errors import InvalidAccessToken
from tenure.core.step_up import InsufficientAuthentication, Requirement
from tenure.http.service import NoAccessToken
from tenure.integrations.django.accounts import user_of
from tenure.integrations.django.conf import tenure
from tenure.integrations.django.views import session_of


class TenureAuthentication(BaseAuthentication):
    """`request.user` is Django's user, `request.auth` the access token's claims."""

    def authenticate(self, request: Any) -> tuple[Any, Claims] | None:
        """The user and claims, or None without an access token. Raises AuthenticationFailed."""
        try:
            claims = session_of(request._request)
        except NoAccessToken:
            return None
        except InvalidAccessToken as refused:
            raise AuthenticationFailed({"error": refused.code, "error_description": str(refused)}) from None
        user = user_of(claims.subject)
        if user is None or not user.is_active:
            raise AuthenticationFailed("The account is gone, or not active.")
        return user, claims

    def authenticate_header(self, request: Any) -> str:
        """The challenge of a 401 (RFC 6750 section 3)."""
        return 'Bearer realm="tenure"'


class AuthenticationTooWeak(APIException):
    """401, with the challenge of RFC 9470: the client lets its user authenticate once more."""

    status_code = 401

    def __init__(self, refused: InsufficientAuthentication) -> None:
        content = {"error": refused.code, "error_description": str(refused)}
        super().__init__({**content, "max_age": refused.max_age, "acr_values": list(refused.acr_values)})
        self.auth_header = refused.challenge()


def recent(*, minutes: float = 0.0, seconds: float = 0.0) -> type[BasePermission]:
    """A permission that requires that the user was authenticated within this time; 401 otherwise (RFC 9470)."""
    return _permission(step_up.recent(minutes=minutes, seconds=seconds))


def acr(*values: str) -> type[BasePermission]:
    """A permission that requires that the authentication was of one of these classes; 401 otherwise (RFC 9470)."""
    return _permission(step_up.acr(*values))


def _permission(requirement: Requirement) -> type[BasePermission]:
    class Authenticated(BasePermission):
        """Raises AuthenticationTooWeak unless the access token meets the requirement."""

        def has_permission(self, request: Any, view: Any) -> bool:
            """Whether there is a token that does."""
            claims = getattr(request.auth, "claims", request.auth)  # those of simplejwt's names have a token
            if not isinstance(claims, Claims):
                return False
            try:
                requirement.check(claims, tenure().issuer.now())
            except InsufficientAuthentication as refused:
                raise AuthenticationTooWeak(refused) from None
            return True

    return Authenticated
