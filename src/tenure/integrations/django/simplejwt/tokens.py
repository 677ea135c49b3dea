"""`AccessToken` and `RefreshToken` with simplejwt's interface, over a session of tenure.

A session begins when its first token is asked for as text, so that the claims that `get_token` adds are in it.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken as OldAccessToken
from rest_framework_simplejwt.tokens import RefreshToken as OldRefreshToken

from tenure.core import existing
from tenure.core.access import RESERVED_CLAIMS, TYPE, Claims
from tenure.core.calls import Get
from tenure.core.errors import ForgedToken, InvalidAccessToken
from tenure.core.issuer import TokenPair
from tenure.core.tokens import PREFIX
from tenure.integrations.django.conf import tenure

_login: ContextVar[Mapping[str, str]] = ContextVar("tenure_login", default=MappingProxyType({}))
"""The device and the address of the login that is under way, which `for_user` is not told."""


@contextmanager
def login_from(request: Any) -> Iterator[None]:
    """A login by this request: its sessions have the request's device and address."""
    meta = {} if request is None else request.META
    before = _login.set({"device": meta.get("HTTP_USER_AGENT", "")[:1024], "address": meta.get("REMOTE_ADDR", "")})
    try:
        yield
    finally:
        _login.reset(before)


def is_ours(token: str) -> bool:
    """Whether an access token says that it is tenure's. That it is genuine is another question."""
    try:
        head = token.partition(".")[0]
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except ValueError:
        return False
    return isinstance(header, dict) and header.get("typ") == TYPE


class AccessToken(OldAccessToken):
    """An access token of tenure. `claims`: what it says; in its payload, the subject is also the user's id."""

    def __init__(self, token: str, claims: Claims | None = None) -> None:
        self.token: Any = token
        if claims is None:
            try:
                claims = tenure().verify(token)
            except InvalidAccessToken as refused:
                raise TokenError(str(refused)) from None
        self.claims = claims
        self.payload = {api_settings.USER_ID_CLAIM: claims.subject, **claims.raw}

    def __str__(self) -> str:
        return str(self.token)

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError("The claims of an access token are set before it is made: on the refresh token, or by CLAIMS.")


class RefreshToken(OldRefreshToken):
    """A refresh token: a new one of tenure for a user, or one of either kind that somebody presents.

    Raises TokenError for a presented one that is forged, or whose session has ended.
    """

    def __init__(self, token: Any = None, verify: bool = True) -> None:
        self._pair: TokenPair | None = None
        self._text = token if isinstance(token, str) and token.startswith(PREFIX) else None
        if self._text is None:
            super().__init__(token, verify)
            return
        self.token = token
        try:
            genuine = tenure().run(existing.genuine(tenure().issuer, self._text))
        except ForgedToken as refused:
            raise TokenError(str(refused)) from None
        session = tenure().store.run(Get(genuine.session_id.hex()))
        if session is None or not session.is_live(tenure().issuer.now()) or tenure().issuer.is_cut_off(session):
            raise TokenError("The session of this token has ended. Log in again.")
        self.payload = {**session.claims, api_settings.USER_ID_CLAIM: session.subject, "sid": session.id}

    @classmethod
    def for_user(cls, user: Any) -> "RefreshToken":
        """A new session's, for a user whom the project has authenticated. It begins when a token is asked for."""
        token = cls()
        token.payload = {api_settings.USER_ID_CLAIM: str(user.pk)}
        return token

    @property
    def access_token(self) -> OldAccessToken:
        """The access token beside it."""
        if self._is_old:
            return super().access_token
        if self._text is not None:
            raise TokenError("A refresh makes both tokens new: use the TokenRefreshView or serializer of this package.")
        return AccessToken(self._begun().access_token)

    def __str__(self) -> str:
        if self._is_old:
            return super().__str__()
        return self._text or self._begun().refresh_token

    def __setitem__(self, key: str, value: Any) -> None:
        if self._pair is not None:
            raise TypeError("The session has begun: set its claims before a token is asked for.")
        super().__setitem__(key, value)

    def blacklist(self) -> Any:
        """End the session of this token, however old the token is."""
        if self._is_old:
            return super().blacklist()
        ended = {"reason": "logged_out", "by": "owner"}
        tenure().run(existing.end_by_token(tenure().issuer, str(self), client_id=None, **ended))
        return None

    @property
    def _is_old(self) -> bool:
        """Whether it is one of simplejwt's that somebody presents."""
        return self._text is None and self.token is not None

    def _begun(self) -> TokenPair:
        if self._pair is None:
            claims = {name: value for name, value in self.payload.items() if name not in RESERVED_CLAIMS}
            subject = str(self.payload[api_settings.USER_ID_CLAIM])
            self._pair = tenure().login(subject, claims=claims, **_login.get())
        return self._pair
