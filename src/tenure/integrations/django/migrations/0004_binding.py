"""What key a session is bound to."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The fourth version."""

    dependencies = (("tenure", "0003_overview"),)
    operations = (migrations.AddField("session", "binding", models.TextField(null=True)),)
