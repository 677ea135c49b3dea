"""Move over from djangorestframework-simplejwt: its refresh endpoint, which exchanges old tokens for sessions.

    path("api/token/refresh/", token_refresh)

An old refresh token can be exchanged for a tenure session once. The response has the shape that front ends know; from
then on they send tenure's tokens to the same URL. If the response is lost, the old token can be exchanged again, until
somebody uses the session.
"""

import json
from typing import Any

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken

from tenure.core.calls import Get, GetRecord, PutRecord
from tenure.core.errors import InvalidGrant, InvalidRequest, StoreUnavailable
from tenure.core.issuer import TokenPair
from tenure.core.tokens import PREFIX
from tenure.http.messages import JSON_TYPE
from tenure.integrations.django.conf import tenure

EXCHANGED = "simplejwt"
_TRIES = 3


@csrf_exempt
@transaction.non_atomic_requests
def token_refresh(request: HttpRequest) -> JsonResponse:
    """POST {"refresh": …}: responds {"access": …, "refresh": …}, for tokens of either kind, or 401 like simplejwt."""
    try:
        token = _presented(request)
        attempt = request.headers.get("idempotency-key")
        if token.startswith(PREFIX):
            pair = tenure().refresh(token, attempt=attempt)
        else:
            pair = exchange(token, device=request.headers.get("user-agent", ""))
    except InvalidRequest as problem:
        return JsonResponse({"detail": str(problem)}, status=400)
    except InvalidGrant as problem:
        return JsonResponse({"detail": str(problem), "code": "token_not_valid"}, status=401)
    except StoreUnavailable as problem:
        return JsonResponse({"detail": str(problem)}, status=503, headers={"Retry-After": "1"})
    return JsonResponse(
        {"access": pair.access_token, "refresh": pair.refresh_token}, headers={"Cache-Control": "no-store"}
    )


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


def _presented(request: HttpRequest) -> str:
    if request.method != "POST":
        raise InvalidRequest("Only POST is allowed here.")
    try:
        body: Any = json.loads(request.body) if request.content_type == JSON_TYPE else request.POST
        token = body["refresh"]
    except (ValueError, KeyError, TypeError):
        raise InvalidRequest("refresh is needed: the refresh token.") from None
    if not isinstance(token, str):
        raise InvalidRequest("refresh is text.")
    return token
