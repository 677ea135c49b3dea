"""simplejwt's serializers over sessions of tenure. Subclasses, with claims or cookies of their own, keep working."""

from typing import Any

from rest_framework.exceptions import APIException, ValidationError
from rest_framework_simplejwt import serializers as old
from rest_framework_simplejwt.exceptions import TokenError

from tenure.core import existing
from tenure.core.errors import InvalidGrant, InvalidRequest, LoginRefused, StoreUnavailable
from tenure.core.tokens import PREFIX
from tenure.integrations.django.conf import tenure
from tenure.integrations.django.simplejwt.exchange import exchange
from tenure.integrations.django.simplejwt.tokens import AccessToken, RefreshToken, is_ours, login_from


class Unavailable(APIException):
    """The store does not respond, and the session is kept: 503, with Retry-After."""

    status_code = 503
    default_detail = "The session can't be looked up just now. Try again in a moment."
    wait = 1


class TokenObtainPairSerializer(old.TokenObtainPairSerializer):
    """Log in with a name and a password."""

    token_class = RefreshToken

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        """The pair of tokens."""
        with login_from(self.context.get("request")):
            try:
                return super().validate(attrs)
            except LoginRefused as refused:
                raise ValidationError(str(refused)) from None
            except StoreUnavailable:
                raise Unavailable from None


class TokenRefreshSerializer(old.TokenRefreshSerializer):
    """Exchange a refresh token of either kind for a new pair."""

    token_class = RefreshToken

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        """The pair of tokens. Raises TokenError."""
        request = self.context.get("request")
        token, headers = attrs["refresh"], {} if request is None else request.headers
        try:
            if token.startswith(PREFIX):
                pair = tenure().refresh(token, attempt=headers.get("idempotency-key"))
            else:
                pair = exchange(token, device=headers.get("user-agent", ""))
        except InvalidRequest as problem:
            raise ValidationError({"detail": str(problem)}) from None
        except InvalidGrant as refused:
            raise TokenError(str(refused)) from None
        except StoreUnavailable:
            raise Unavailable from None
        return {"access": pair.access_token, "refresh": pair.refresh_token}


class TokenVerifySerializer(old.TokenVerifySerializer):
    """Whether a token of either kind is valid."""

    def validate(self, attrs: dict[str, Any]) -> dict[Any, Any]:
        """Nothing. Raises TokenError."""
        token = attrs["token"]
        if is_ours(token):
            AccessToken(token)
        elif token.startswith(PREFIX):
            try:
                tenure().run(existing.look_up(tenure().issuer, token))
            except InvalidGrant as refused:
                raise TokenError(str(refused)) from None
        else:
            return super().validate(attrs)
        return {}


class TokenBlacklistSerializer(old.TokenBlacklistSerializer):
    """Log out with a refresh token of either kind."""

    token_class = RefreshToken
