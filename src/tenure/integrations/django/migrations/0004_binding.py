"""What key a session is bound to."""

from django.db import migrations

from tenure.integrations.django.models import ExactTextField


class Migration(migrations.Migration):
    """The fourth version."""

    dependencies = (("tenure", "0003_overview"),)
    operations = (migrations.AddField("session", "binding", ExactTextField(max_length=255, null=True)),)
