"""Lifetimes by login, when a user was authenticated last, and what a session in the trail was bound to."""

from django.db import migrations, models

from tenure.integrations.django.models import ExactTextField


class Migration(migrations.Migration):
    """The fifth version."""

    dependencies = (("tenure", "0004_binding"),)
    operations = (
        migrations.AddField("session", "lifetime", ExactTextField(max_length=255, null=True)),
        migrations.AddField("session", "idle_ttl", models.BigIntegerField(null=True)),
        migrations.AddField("session", "authentication", ExactTextField(null=True)),
        migrations.AddField("auditentry", "bound", ExactTextField(max_length=255, null=True)),
    )
