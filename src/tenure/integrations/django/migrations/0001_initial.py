"""The tables, and what they do by themselves: the feed of revocations, and room for HOT updates on PostgreSQL."""

from typing import Any

from django.db import migrations, models

from tenure.integrations.django.models import ExactTextField, SessionIdField
from tenure.stores.mysql.statements import lock_tables

_POSTGRESQL = """
ALTER TABLE tenure_django_sessions SET (fillfactor = 70);

-- A position is a moment, drawn under a lock that is held until the commit: no later one is ever seen before it, and
-- none is given twice, even where a replica takes over without the last rows.
CREATE FUNCTION tenure_django_feed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tenure revocations'));
    INSERT INTO tenure_django_revocations (position, id, revoked_at)
    SELECT greatest(coalesce(max(position), 0) + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
        NEW.id, NEW.revoked_at
    FROM tenure_django_revocations;
    RETURN NULL;
END
$$;

CREATE TRIGGER tenure_django_feed AFTER UPDATE OF revoked_at ON tenure_django_sessions
FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
EXECUTE FUNCTION tenure_django_feed();
"""

_SQLITE = """
CREATE TRIGGER tenure_django_feed AFTER UPDATE OF revoked_at ON tenure_django_sessions
WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL
BEGIN
    INSERT INTO tenure_django_revocations (id, revoked_at) VALUES (NEW.id, NEW.revoked_at);
END
"""

_NO_FEED = {
    "postgresql": ("DROP FUNCTION tenure_django_feed() CASCADE",),
    "mysql": ("DROP TABLE tenure_django_feed", "DROP TABLE tenure_django_locks"),
}


def feed(apps: Any, schema_editor: Any) -> None:
    """Make what keeps the feed: a trigger, or on MySQL two small tables."""
    statements = {"postgresql": (_POSTGRESQL,), "sqlite": (_SQLITE,), "mysql": lock_tables("tenure_django_")}
    for statement in statements.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement, params=None)


def no_feed(apps: Any, schema_editor: Any) -> None:
    """Drop it; the other tables follow."""
    for statement in _NO_FEED.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    """The first version."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Session",
            fields=[
                ("id", SessionIdField(primary_key=True, serialize=False)),
                ("subject", ExactTextField(max_length=255, db_index=True)),
                ("client_id", ExactTextField(max_length=255)),
                ("scope", ExactTextField()),
                ("claims", ExactTextField()),
                ("device", ExactTextField(max_length=255)),
                ("created_at", models.BigIntegerField()),
                ("expires_at", models.BigIntegerField()),
                ("ends_at", models.BigIntegerField()),
                ("generation", models.BigIntegerField()),
                ("nonce_hash", models.BinaryField()),
                ("attempt_hash", models.BinaryField(null=True)),
                ("rotated_at", models.BigIntegerField()),
                ("revoked_at", models.BigIntegerField(null=True)),
                ("revoked_reason", ExactTextField(null=True)),
                ("revoked_by", ExactTextField(null=True)),
            ],
            options={"db_table": "tenure_django_sessions", "default_permissions": ("view", "delete")},
        ),
        migrations.CreateModel(
            name="Revocation",
            fields=[
                ("position", models.BigAutoField(primary_key=True, serialize=False)),
                ("id", SessionIdField()),
                ("revoked_at", models.BigIntegerField()),
            ],
            options={"db_table": "tenure_django_revocations", "default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Record",
            fields=[
                ("row", models.BigAutoField(primary_key=True, serialize=False)),
                ("kind", ExactTextField(max_length=255)),
                ("name", ExactTextField(max_length=255)),
                ("body", ExactTextField()),
            ],
            options={"db_table": "tenure_django_records", "default_permissions": ()},
        ),
        migrations.AddConstraint(
            model_name="record",
            constraint=models.UniqueConstraint(fields=["kind", "name"], name="tenure_django_records_once"),
        ),
        migrations.RunPython(feed, no_feed, atomic=False),  # MySQL makes no tables in a transaction
    )
