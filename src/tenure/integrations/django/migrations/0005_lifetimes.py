"""Lifetimes by login, when a user was authenticated last, and what a session in the trail was bound to."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The fifth version."""

    dependencies = (("tenure", "0004_binding"),)
    operations = (
        migrations.AddField("session", "lifetime", models.TextField(null=True)),
        migrations.AddField("session", "idle_ttl", models.BigIntegerField(null=True)),
        migrations.AddField("session", "authentication", models.TextField(null=True)),
        migrations.AddField("auditentry", "bound", models.TextField(null=True)),
    )
