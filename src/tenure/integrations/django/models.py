"""Models of the tables, for migrations and the admin pages. `store.py` reads and writes them by SQL.

Times are in microseconds since 1970, UTC; the properties convert them.
"""

import datetime
from typing import Any

from django.db import models
from django.utils import timezone

from tenure.stores.mysql.statements import exact_collation


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

    def db_type(self, connection: Any) -> str | None:
        """On MySQL, a type that can be a key."""
        usual: str | None = super().db_type(connection)
        return "binary(16)" if connection.vendor == "mysql" else usual


class ExactTextField(models.TextField):
    """Text that is compared byte by byte, which on MySQL most databases don't do by default.

    max_length: on MySQL, a type that can have an index.
    """

    def db_type(self, connection: Any) -> str | None:
        """On MySQL, with a character set and a collation of its own."""
        usual: str | None = super().db_type(connection)
        if connection.vendor != "mysql":
            return usual
        kind = "longtext" if self.max_length is None else f"varchar({self.max_length})"
        exact = exact_collation("MariaDB" if connection.mysql_is_mariadb else "")
        return f"{kind} CHARACTER SET utf8mb4 COLLATE {exact}"


class Session(models.Model):
    """One login on one device. Only hashes of a refresh token's nonces are stored."""

    id = SessionIdField(primary_key=True)
    subject = ExactTextField(max_length=255, db_index=True)
    client_id = ExactTextField(max_length=255)
    scope = ExactTextField()
    claims = ExactTextField()
    device = ExactTextField(max_length=255)
    created_at = models.BigIntegerField()
    expires_at = models.BigIntegerField()
    ends_at = models.BigIntegerField()
    generation = models.BigIntegerField()
    nonce_hash = models.BinaryField()
    attempt_hash = models.BinaryField(null=True)
    rotated_at = models.BigIntegerField()
    revoked_at = models.BigIntegerField(null=True)
    revoked_reason = ExactTextField(null=True)
    revoked_by = ExactTextField(null=True)
    binding = ExactTextField(max_length=255, null=True)
    lifetime = ExactTextField(max_length=255, null=True)
    idle_ttl = models.BigIntegerField(null=True)
    authentication = ExactTextField(null=True)

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
    subject = ExactTextField(max_length=255)
    kept_until = models.BigIntegerField(db_index=True)
    at = models.BigIntegerField()
    kind = ExactTextField(max_length=255)
    session_id = SessionIdField()
    client_id = ExactTextField(max_length=255)
    device = ExactTextField(max_length=255)
    address = ExactTextField(max_length=255)
    reason = ExactTextField(null=True)
    by_whom = ExactTextField(null=True)
    bound = ExactTextField(max_length=255, null=True)

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
    kind = ExactTextField(max_length=255)
    name = ExactTextField(max_length=255)
    body = ExactTextField()

    class Meta:
        db_table = "tenure_django_records"
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=["kind", "name"], name="tenure_django_records_once"),)


def moment(micros: int) -> datetime.datetime:
    """Microseconds since 1970 as an aware datetime."""
    return datetime.datetime.fromtimestamp(micros / 1e6, datetime.UTC)
