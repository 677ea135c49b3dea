"""The audit trail."""

from django.db import migrations, models

import tenure.integrations.django.models


class Migration(migrations.Migration):
    """The second version."""

    dependencies = (("tenure", "0001_initial"),)
    operations = (
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("row", models.BigAutoField(primary_key=True, serialize=False)),
                ("subject", models.TextField()),
                ("kept_until", models.BigIntegerField(db_index=True)),
                ("at", models.BigIntegerField()),
                ("kind", models.TextField()),
                ("session_id", tenure.integrations.django.models.SessionIdField()),
                ("client_id", models.TextField()),
                ("device", models.TextField()),
                ("address", models.TextField()),
                ("reason", models.TextField(null=True)),
                ("by_whom", models.TextField(null=True)),
            ],
            options={
                "db_table": "tenure_django_audit",
                "default_permissions": ("view",),
                "verbose_name_plural": "audit entries",
            },
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["subject", "at"], name="tenure_django_audit_subject"),
        ),
    )
