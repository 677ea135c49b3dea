"""For django-allauth's headless API: a token strategy, so that allauth logs in and tenure keeps people logged in.

HEADLESS_TOKEN_STRATEGY = "tenure.integrations.django.allauth.TenureTokenStrategy"

allauth does passwords, social accounts, passkeys and MFA. Each of its logins begins a session here: the response has an
access token and a refresh token, which /auth/refresh renews, as does allauth's own address for that. allauth's session
token, which it needs while a login has several steps, ends with the session here, and the other way round. To its own
endpoints (e-mail addresses, authenticators), a client sends either.
"""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.headless.internal.sessionkit import lookup_session, session_store
from allauth.headless.tokens.strategies.sessions import SessionTokenStrategy
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import CreateError, SessionBase
from django.http import HttpRequest

from tenure.core.calls import Get
from tenure.core.errors import InvalidAccessToken, InvalidGrant, TenureError
from tenure.http.service import error_response
from tenure.integrations.django.conf import tenure
from tenure.integrations.django.views import django_response, request_of, session_of

_SESSION_ID = "tenure_session_id"
_METHODS = {"password": "pwd", "code": "otp", "totp": "otp", "recovery_codes": "otp", "webauthn": "pop"}
"""What allauth records of an authentication, in the names of RFC 8176."""


class TenureTokenStrategy(SessionTokenStrategy):
    """The tokens of the client `app`. A user's primary key is the subject."""

    def create_access_token_payload(self, request: HttpRequest) -> dict[str, Any]:
        """Begin a session for the user whom allauth has just authenticated."""
        asked = request_of(request)
        device, amr = asked.headers.get("user-agent", "")[:1024], _amr(request)
        with _answered():
            pair = tenure().login(str(request.user.pk), device=device, address=asked.address, amr=amr)
        request.session[_SESSION_ID] = pair.session_id
        return {
            "access_token": pair.access_token,
            "token_type": "Bearer",
            "expires_in": pair.expires_in,
            "refresh_token": pair.refresh_token,
        }

    def refresh_token(self, refresh_token: str) -> tuple[str, str] | None:
        """The next pair of tokens, or None if the session is over. An Idempotency-Key is the attempt's key."""
        attempt = context.request.headers.get("idempotency-key")
        with _answered():
            try:
                pair = tenure().refresh(refresh_token, attempt=attempt)
            except InvalidGrant:
                return None
        return pair.access_token, pair.refresh_token

    def get_session_token(self, request: HttpRequest) -> str | None:
        """allauth's session token, or for an access token the one of an allauth session that goes with it."""
        given: str | None = super().get_session_token(request)
        if given or "authorization" not in request.headers:
            return given
        try:
            claims = session_of(request)
        except InvalidAccessToken:
            return None
        key = _key_of(claims.session_id)
        if lookup_session(key) is None:
            _begin(key, claims.subject, claims.session_id)
        return key

    def lookup_session(self, session_token: str) -> SessionBase | None:
        """allauth's session; None if there is none, or the session here has ended."""
        found: SessionBase | None = lookup_session(session_token)
        session_id = None if found is None else found.get(_SESSION_ID)
        if session_id is None:
            return found
        with _answered():
            session = tenure().store.run(Get(session_id))
        issuer = tenure().issuer
        is_live = session is not None and session.is_live(issuer.now()) and not issuer.is_cut_off(session)
        return found if is_live else None


def end_with_allauth(request: HttpRequest | None = None, **_: Any) -> None:
    """End the session here when allauth logs out (the signal user_logged_out)."""
    session_id = None if request is None else request.session.get(_SESSION_ID)
    if session_id is not None:
        tenure().revoke(session_id, reason="logged_out", by="owner")


def _key_of(session_id: str) -> str:
    """The key of the allauth session that goes with a session here. Nobody without SECRET_KEY can compute it."""
    secret = settings.SECRET_KEY.encode()
    return hmac.new(secret, b"tenure allauth session " + session_id.encode(), hashlib.sha256).hexdigest()[:40]


def _begin(key: str, subject: str, session_id: str) -> None:
    """Begin an allauth session, as Django's `login` does."""
    user = get_user_model()._default_manager.filter(pk=subject, is_active=True).first()
    if user is None:
        return
    store = session_store()
    store[SESSION_KEY] = user._meta.pk.value_to_string(user)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store[_SESSION_ID] = session_id
    store._session_key = key
    with suppress(CreateError):  # another request has just done so
        store.save(must_create=True)


def _amr(request: HttpRequest) -> tuple[str, ...]:
    records = get_authentication_records(request, request.user)
    names = [_METHODS.get(str(record.get("type") or record.get("method"))) for record in records]
    found = tuple(dict.fromkeys(name for name in names if name is not None))
    return (*found, "mfa") if any(record.get("method") == "mfa" for record in records) else found


@contextmanager
def _answered() -> Iterator[None]:
    """Answer what tenure refuses as its own endpoints do: 503 while the store is away."""
    try:
        yield
    except TenureError as problem:
        raise ImmediateHttpResponse(django_response(error_response(problem))) from None
