"""The audit trail."""

from django.db import migrations, models

from tenure.integrations.django.models import ExactTextField, SessionIdField


class Migration(migrations.Migration):
    """The second version."""

    dependencies = (("tenure", "0001_initial"),)
    operations = (
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("row", models.BigAutoField(primary_key=True, serialize=False)),
                ("subject", ExactTextField(max_length=255)),
                ("kept_until", models.BigIntegerField(db_index=True)),
                ("at", models.BigIntegerField()),
                ("kind", ExactTextField(max_length=255)),
                ("session_id", SessionIdField()),
                ("client_id", ExactTextField(max_length=255)),
                ("device", ExactTextField(max_length=255)),
                ("address", ExactTextField(max_length=255)),
                ("reason", ExactTextField(null=True)),
                ("by_whom", ExactTextField(null=True)),
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
