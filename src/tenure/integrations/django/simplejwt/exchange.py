"""The step from simplejwt to tenure: an old refresh token is exchanged for a session, once.

If the response is lost, the old token can be exchanged again, until somebody uses the session.
"""

import json

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken

from tenure.core.calls import Get, GetRecord, PutRecord
from tenure.core.errors import InvalidGrant, StoreUnavailable
from tenure.core.issuer import TokenPair
from tenure.integrations.django.conf import tenure

EXCHANGED = "simplejwt"
_TRIES = 3


def exchange(token: str, *, device: str = "") -> TokenPair:
    """Exchange a valid old refresh token for a tenure session. Raises InvalidGrant.

    The session belongs to the user whom the token names, and ends when they are deactivated.
    """
    try:
        old = RefreshToken(token)  # type: ignore[arg-type]  # says: of a token; reads text
        name, subject = str(old["jti"]), str(old[api_settings.USER_ID_CLAIM])
    except (TokenError, KeyError):
        raise InvalidGrant("The refresh token is not valid, or has expired. Log in again.") from None
    for _ in range(_TRIES):
        before = tenure().store.run(GetRecord(EXCHANGED, name))
        if before is not None:
            _take_back(json.loads(before)["session"])
        pair = tenure().login(subject, device=device)
        record = json.dumps({"session": pair.session_id, "expires_at": old["exp"]})
        if before is not None or tenure().store.run(PutRecord(EXCHANGED, name, record)):
            if before is not None:
                tenure().store.run(PutRecord(EXCHANGED, name, record, replace=True))
            return pair
        tenure().revoke(pair.session_id, reason="exchanged_twice", by="policy")  # another request was faster
    raise StoreUnavailable


def _take_back(session_id: str) -> None:
    """End the session of an earlier exchange whose response was lost. Raises InvalidGrant if somebody has used it."""
    earlier = tenure().store.run(Get(session_id))
    if earlier is not None and earlier.head.generation > 0:
        raise InvalidGrant("This refresh token was exchanged already. Log in again.")
    tenure().revoke(session_id, reason="exchanged_again", by="policy")
