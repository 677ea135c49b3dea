"""Models of the tables, for migrations and the admin pages. `store.py` reads and writes them by SQL.

Times are in microseconds since 1970, UTC; the properties convert them.
"""

import datetime
from typing import Any

from django.db import models
from django.utils import timezone


class SessionIdField(models.BinaryField):
    """Sixteen bytes in the database, 32 hexadecimal digits in Python, as in the access token's `sid`."""

    def from_db_value(self, value: Any, *_: Any) -> str | None:
        """The digits."""
        return None if value is None else bytes(value).hex()

    def to_python(self, value: Any) -> Any:
        """The digits."""
        return bytes(value).hex() if isinstance(value, bytes | memoryview) else value

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """The bytes."""
        encoded = bytes.fromhex(value) if isinstance(value, str) else value
        return super().get_db_prep_value(encoded, connection, prepared)


class Session(models.Model):
    """One login on one device. Only hashes of a refresh token's nonces are stored."""

    id = SessionIdField(primary_key=True)
    subject = models.TextField(db_index=True)
    client_id = models.TextField()
    scope = models.TextField()
    claims = models.TextField()
    device = models.TextField()
    created_at = models.BigIntegerField()
    expires_at = models.BigIntegerField()
    ends_at = models.BigIntegerField()
    generation = models.BigIntegerField()
    nonce_hash = models.BinaryField()
    attempt_hash = models.BinaryField(null=True)
    rotated_at = models.BigIntegerField()
    revoked_at = models.BigIntegerField(null=True)
    revoked_reason = models.TextField(null=True)
    revoked_by = models.TextField(null=True)
    binding = models.TextField(null=True)
    lifetime = models.TextField(null=True)
    idle_ttl = models.BigIntegerField(null=True)
    authentication = models.TextField(null=True)

    class Meta:
        db_table = "tenure_django_sessions"
        default_permissions = ("view", "delete")
        indexes = (models.Index(fields=["created_at", "id"], name="tenure_django_sessions_created"),)

    def __str__(self) -> str:
        return f"{self.device or 'a device'} of {self.subject}"

    @property
    def created(self) -> datetime.datetime:
        """When the session began."""
        return moment(self.created_at)

    @property
    def last_used(self) -> datetime.datetime:
        """When it was last refreshed."""
        return moment(self.rotated_at)

    @property
    def state(self) -> str:
        """Live, expired, or why it was ended."""
        if self.revoked_at is not None:
            return str(self.revoked_reason)
        return "live" if moment(self.expires_at) > timezone.now() else "expired"


class Revocation(models.Model):
    """The feed of ended sessions."""

    position = models.BigAutoField(primary_key=True)
    id = SessionIdField()
    revoked_at = models.BigIntegerField()

    class Meta:
        db_table = "tenure_django_revocations"
        default_permissions = ()


class AuditEntry(models.Model):
    """The audit trail: a login or the end of a session, from where, and why."""

    row = models.BigAutoField(primary_key=True)
    subject = models.TextField()
    kept_until = models.BigIntegerField(db_index=True)
    at = models.BigIntegerField()
    kind = models.TextField()
    session_id = SessionIdField()
    client_id = models.TextField()
    device = models.TextField()
    address = models.TextField()
    reason = models.TextField(null=True)
    by_whom = models.TextField(null=True)
    bound = models.TextField(null=True)

    class Meta:
        db_table = "tenure_django_audit"
        default_permissions = ("view",)
        verbose_name_plural = "audit entries"
        indexes = (
            models.Index(fields=["subject", "at"], name="tenure_django_audit_subject"),
            models.Index(fields=["at"], name="tenure_django_audit_at"),
        )

    def __str__(self) -> str:
        return f"{self.subject}: {self.kind}"

    @property
    def when(self) -> datetime.datetime:
        """When it happened."""
        return moment(self.at)


class Record(models.Model):
    """Signing keys, encrypted, and clients."""

    row = models.BigAutoField(primary_key=True)
    kind = models.TextField()
    name = models.TextField()
    body = models.TextField()

    class Meta:
        db_table = "tenure_django_records"
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=["kind", "name"], name="tenure_django_records_once"),)


def moment(micros: int) -> datetime.datetime:
    """Microseconds since 1970 as an aware datetime."""
    return datetime.datetime.fromtimestamp(micros / 1e6, datetime.UTC)
