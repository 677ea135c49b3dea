"""Django's users: whoever its authentication backends let in, what goes into their tokens, when their sessions end."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth import authenticate, get_user_model
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save

from tenure.core.issuer import ClaimsSource
from tenure.core.session import Session

_ENDING = "_tenure_ends_sessions"


class DjangoAccounts:
    """The authenticator: Django's authentication backends, in their order."""

    def authenticate(self, username: str, password: str) -> str | None:
        """The primary key of the user with these credentials, or None. Inactive users are let in by no backend."""
        user = authenticate(None, **{get_user_model().USERNAME_FIELD: username, "password": password})
        return None if user is None else str(user.pk)


def claims_source(claims: Callable[[Any], Mapping[str, Any]] | None) -> ClaimsSource:
    """What is asked at login and at each refresh: the claims of a user, or None, which ends the session, where the user
    is gone or inactive."""

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


def connect() -> None:
    """Hear of users that change."""
    model = get_user_model()
    pre_save.connect(_look, sender=model, dispatch_uid="tenure-look")
    post_save.connect(_saved, sender=model, dispatch_uid="tenure-saved")
    post_delete.connect(_deleted, sender=model, dispatch_uid="tenure-deleted")


def _look(sender: Any, instance: Any, update_fields: frozenset[str] | None = None, **_: Any) -> None:
    """Before a user is saved: remember whether that ends their sessions, and why."""
    before = sender._default_manager.filter(pk=instance.pk).first() if instance.pk is not None else None
    reason = None
    if before is not None and before.is_active and not instance.is_active:
        reason = "account_deactivated"
    elif before is not None and before.password != instance.password:
        # At a login, Django hashes the same password anew where its hasher has changed: that is no change of it.
        hashed_anew = update_fields == frozenset({"password"}) and getattr(instance, "_password", None) is None
        reason = None if hashed_anew else "password_changed"
    setattr(instance, _ENDING, reason)


def _saved(instance: Any, **_: Any) -> None:
    reason = getattr(instance, _ENDING, None)
    if reason is not None:
        _end(instance.pk, reason)


def _deleted(instance: Any, **_: Any) -> None:
    _end(instance.pk, "account_gone")


def _end(pk: Any, reason: str) -> None:
    from tenure.integrations.django.conf import tenure

    # After the commit: a change that is rolled back ends nothing.
    transaction.on_commit(lambda: tenure().revoke_all(str(pk), reason=reason, by="django"))
