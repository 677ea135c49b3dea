"""Django's users: authentication by its backends, and the claims of their tokens."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth import authenticate, get_user_model

from tenure.core.issuer import ClaimsSource
from tenure.core.session import Session


class DjangoAccounts:
    """The authenticator: Django's authentication backends, in their order."""

    def authenticate(self, username: str, password: str) -> str | None:
        """The primary key of the user with these credentials, or None. Backends refuse inactive users."""
        user = authenticate(None, **{get_user_model().USERNAME_FIELD: username, "password": password})
        return None if user is None else str(user.pk)


def claims_source(claims: Callable[[Any], Mapping[str, Any]] | None) -> ClaimsSource:
    """The `claims` function, called at login and at each refresh. It returns the user's claims, or None, which ends the
    session, if the user is gone or inactive."""

    def claims_of(session: Session) -> Mapping[str, Any] | None:
        user = user_of(session.subject)
        if user is None or not user.is_active:
            return None
        return {} if claims is None else claims(user)

    return claims_of


def user_of(subject: str) -> Any:
    """The user with this primary key, or None."""
    model = get_user_model()
    try:
        return model._default_manager.filter(pk=subject).first()
    except (ValueError, TypeError):
        return None
