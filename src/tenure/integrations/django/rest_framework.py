"""For Django REST framework: authentication by access token, and a permission that requires a recent login.

REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["tenure.integrations.django.rest_framework.TenureAuthentication"]}
"""

import time
from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission

from tenure.core.access import Claims
from tenure.core.errors import InvalidAccessToken
from tenure.http.service import NoAccessToken
from tenure.integrations.django.accounts import user_of
from tenure.integrations.django.views import session_of

RECENT_SECONDS = 300.0


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


class RecentLogin(BasePermission):
    """Requires a login within settings.TENURE_RECENT_SECONDS (by default five minutes)."""

    message = "Log in again for this."

    def has_permission(self, request: Any, view: Any) -> bool:
        """Whether the login is recent enough."""
        claims = request.auth
        lately = float(getattr(settings, "TENURE_RECENT_SECONDS", RECENT_SECONDS))
        return isinstance(claims, Claims) and time.time() - float(claims.get("auth_time", 0)) <= lately
