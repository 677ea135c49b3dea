"""dj-rest-auth's views and cookies over sessions of tenure, for tokens of either kind.

path("auth/login/", LoginView.as_view()), path("auth/logout/", LogoutView.as_view()),
path("auth/token/refresh/", TokenRefreshView.as_view()), path("auth/token/verify/", TokenVerifyView.as_view()),
path("auth/", include("dj_rest_auth.urls"))

They stand before its own urls. JWTCookieAuthentication takes the place of its authentication class. The setting
REST_AUTH stays as it is, but for JWT_TOKEN_CLAIMS_SERIALIZER, which names this package's TokenObtainPairSerializer.
"""

from contextlib import suppress
from typing import Any

from dj_rest_auth import jwt_auth, views
from dj_rest_auth.app_settings import api_settings
from django.contrib.auth import logout
from django.db import transaction
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import TokenError

from tenure.core.tokens import PREFIX
from tenure.integrations.django.simplejwt.authentication import JWTAuthentication
from tenure.integrations.django.simplejwt.serializers import TokenRefreshSerializer
from tenure.integrations.django.simplejwt.tokens import RefreshToken, login_from
from tenure.integrations.django.simplejwt.views import TokenVerifyView

__all__ = ["JWTCookieAuthentication", "LoginView", "LogoutView", "TokenRefreshView", "TokenVerifyView"]


class JWTCookieAuthentication(JWTAuthentication, jwt_auth.JWTCookieAuthentication):
    """The token of the header or of the cookie, with dj-rest-auth's check for CSRF where that is switched on."""


class _Outside:
    """A view outside of the request's transaction: a rotation is committed even if the request fails."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view function."""
        return transaction.non_atomic_requests(super().as_view(**initkwargs))  # type: ignore[misc]


class LoginView(_Outside, views.LoginView):
    """POST a name and a password. The session has the request's device and address."""

    def login(self) -> None:
        """Begin a session."""
        with login_from(self.request):
            super().login()


class _CookieTokenRefreshSerializer(jwt_auth.CookieTokenRefreshSerializer, TokenRefreshSerializer):
    """The refresh token of the body or of the cookie, of either kind."""


class TokenRefreshView(_Outside, jwt_auth.get_refresh_view()):  # type: ignore[misc]
    """POST a refresh token of either kind, in the cookie or the body: both tokens, new."""

    serializer_class = _CookieTokenRefreshSerializer


class LogoutView(_Outside, views.LogoutView):
    """POST: end the session, and clear the cookies."""

    def logout(self, request: Any) -> Response:
        """Log out by a token of either kind."""
        token = request.COOKIES.get(api_settings.JWT_AUTH_REFRESH_COOKIE or "") or request.data.get("refresh")
        if not isinstance(token, str) or not token.startswith(PREFIX):
            old: Response = super().logout(request)
            return old
        with suppress(TokenError):  # at an end already
            RefreshToken(token).blacklist()
        if api_settings.SESSION_LOGIN:
            logout(request)
        response = Response({"detail": "Successfully logged out."})
        jwt_auth.unset_jwt_cookies(response)
        return response
