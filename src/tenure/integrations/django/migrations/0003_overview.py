"""Indexes for the latest logins and for what happened lately; a cutoff's sessions are not told of one by one."""

from typing import Any

from django.db import migrations, models

_POSTGRESQL = """
DROP TRIGGER tenure_django_feed ON tenure_django_sessions;

CREATE TRIGGER tenure_django_feed AFTER UPDATE OF revoked_at ON tenure_django_sessions
FOR EACH ROW WHEN (
    OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL AND NEW.revoked_reason IS DISTINCT FROM 'cutoff'
)
EXECUTE FUNCTION tenure_django_feed();
"""

_SQLITE = (
    "DROP TRIGGER IF EXISTS tenure_django_feed",
    """
    CREATE TRIGGER tenure_django_feed AFTER UPDATE OF revoked_at ON tenure_django_sessions
    WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL AND NEW.revoked_reason IS NOT 'cutoff'
    BEGIN
        INSERT INTO tenure_django_revocations (id, revoked_at) VALUES (NEW.id, NEW.revoked_at);
    END
    """,
)


def feed(apps: Any, schema_editor: Any) -> None:
    """Make the trigger anew."""
    statements = {"postgresql": (_POSTGRESQL,), "sqlite": _SQLITE}.get(schema_editor.connection.vendor, ())
    for statement in statements:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    """The third version."""

    dependencies = (("tenure", "0002_audit"),)
    operations = (
        migrations.AddIndex(
            model_name="session",
            index=models.Index(fields=["created_at", "id"], name="tenure_django_sessions_created"),
        ),
        migrations.AddIndex(model_name="auditentry", index=models.Index(fields=["at"], name="tenure_django_audit_at")),
        migrations.RunPython(feed, migrations.RunPython.noop),
    )
