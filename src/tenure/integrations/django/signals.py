"""End a user's sessions when the account is deactivated or deleted, or its password is changed."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save

from tenure.integrations.django.conf import tenure

_ENDING = "_tenure_ends_sessions"


def connect() -> None:
    """Connect the signals of the user model."""
    model = get_user_model()
    pre_save.connect(_look, sender=model, dispatch_uid="tenure-look")
    post_save.connect(_saved, sender=model, dispatch_uid="tenure-saved")
    post_delete.connect(_deleted, sender=model, dispatch_uid="tenure-deleted")


def _look(sender: Any, instance: Any, update_fields: frozenset[str] | None = None, **_: Any) -> None:
    """Before a user is saved, remember whether that ends their sessions, and why."""
    before = sender._default_manager.filter(pk=instance.pk).first() if instance.pk is not None else None
    reason = None
    if before is not None and before.is_active and not instance.is_active:
        reason = "account_deactivated"
    elif before is not None and before.password != instance.password:
        # At a login, Django rehashes the password if the hasher has changed. That is not a new password.
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
    # After the commit, as a change that is rolled back ends nothing.
    transaction.on_commit(lambda: tenure().revoke_all(str(pk), reason=reason, by="django"))
