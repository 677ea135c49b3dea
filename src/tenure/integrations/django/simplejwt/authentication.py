"""simplejwt's authentication classes, for access tokens of either kind. Subclasses of them keep working."""

from typing import Any

from rest_framework_simplejwt import authentication as old
from rest_framework_simplejwt.exceptions import AuthenticationFailed, InvalidToken, TokenError
from rest_framework_simplejwt.tokens import Token

from tenure.core.errors import InvalidAccessToken
from tenure.integrations.django.accounts import user_of
from tenure.integrations.django.simplejwt.tokens import AccessToken, is_ours
from tenure.integrations.django.views import session_of

_WITH_PROOF = b"dpop "


class TakesEither(old.JWTAuthentication):
    """Takes tenure's tokens besides simplejwt's, wherever a subclass finds them."""

    def authenticate(self, request: Any) -> Any:
        """The user and the token, or None without one. Raises AuthenticationFailed."""
        header = self.get_header(request) or b""
        if not header.lower().startswith(_WITH_PROOF):  # RFC 9449: of a session that is bound to a key
            return super().authenticate(request)
        try:
            claims = session_of(request._request)
        except InvalidAccessToken as refused:
            raise InvalidToken(str(refused)) from None
        token = AccessToken("", claims)
        return self.get_user(token), token

    def get_validated_token(self, raw_token: Any) -> Token:
        """The token that this text is. Raises InvalidToken."""
        text = raw_token.decode("latin-1") if isinstance(raw_token, bytes) else raw_token
        if not isinstance(text, str) or not is_ours(text):
            return super().get_validated_token(raw_token)
        try:
            return AccessToken(text)
        except TokenError as refused:
            raise InvalidToken(refused.args[0]) from None


class JWTAuthentication(TakesEither):
    """`request.user` is Django's user, `request.auth` the token."""

    def get_user(self, validated_token: Token) -> Any:
        """The token's user. Raises AuthenticationFailed if there is none, or an inactive one."""
        if not isinstance(validated_token, AccessToken):
            return super().get_user(validated_token)
        user = user_of(validated_token.claims.subject)
        if user is None:
            raise AuthenticationFailed("User not found", code="user_not_found")
        if not user.is_active:
            raise AuthenticationFailed("User is inactive", code="user_inactive")
        return user


class JWTStatelessUserAuthentication(TakesEither, old.JWTStatelessUserAuthentication):
    """`request.user` is a TokenUser, made of the token alone."""


JWTTokenUserAuthentication = JWTStatelessUserAuthentication
