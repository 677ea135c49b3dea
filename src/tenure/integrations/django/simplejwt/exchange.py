"""The step from simplejwt to tenure: an old refresh token is exchanged for a session, once."""

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken

from tenure.core.errors import InvalidGrant
from tenure.core.issuer import TokenPair
from tenure.integrations.django.conf import tenure
from tenure.integrations.exchange import exchange_once

EXCHANGED = "simplejwt"


def exchange(token: str, *, device: str = "") -> TokenPair:
    """Exchange a valid old refresh token for a tenure session. Raises InvalidGrant.

    The session belongs to the user whom the token names, and ends when they are deactivated.
    """
    try:
        old = RefreshToken(token)  # type: ignore[arg-type]  # says: of a token; reads text
        name, subject = str(old["jti"]), str(old[api_settings.USER_ID_CLAIM])
    except (TokenError, KeyError):
        raise InvalidGrant("The refresh token is not valid, or has expired. Log in again.") from None
    return exchange_once(tenure(), EXCHANGED, name, subject, expires_at=old["exp"], device=device)
