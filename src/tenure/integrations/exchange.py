"""The step from another library's refresh tokens to sessions: each old token is exchanged once.

If the response is lost, the old token can be exchanged again, until somebody uses the session.
"""

import json

from tenure.core.calls import Get, GetRecord, PutRecord
from tenure.core.errors import InvalidGrant, StoreUnavailable
from tenure.core.issuer import TokenPair
from tenure.sessions import Tenure

_TRIES = 3


def exchange_once(
    tenure: Tenure, kind: str, name: str, subject: str, *, expires_at: float, device: str = "", address: str = ""
) -> TokenPair:
    """Begin a session for an old refresh token that its own library has accepted. Raises InvalidGrant.

    kind: the library's name, for the record of what was exchanged. name: the token's id, its `jti`. expires_at: when
    the old token expires, in seconds, UTC.
    """
    for _ in range(_TRIES):
        before = tenure.store.run(GetRecord(kind, name))
        if before is not None:
            _take_back(tenure, json.loads(before)["session"])
        pair = tenure.login(subject, device=device, address=address)
        record = json.dumps({"session": pair.session_id, "expires_at": expires_at})
        if before is not None or tenure.store.run(PutRecord(kind, name, record)):
            if before is not None:
                tenure.store.run(PutRecord(kind, name, record, replace=True))
            return pair
        tenure.revoke(pair.session_id, reason="exchanged_twice", by="policy")  # another request was faster
    raise StoreUnavailable


def _take_back(tenure: Tenure, session_id: str) -> None:
    """End the session of an earlier exchange whose response was lost. Raises InvalidGrant if somebody has used it."""
    earlier = tenure.store.run(Get(session_id))
    if earlier is not None and earlier.head.generation > 0:
        raise InvalidGrant("This refresh token was exchanged already. Log in again.")
    tenure.revoke(session_id, reason="exchanged_again", by="policy")
