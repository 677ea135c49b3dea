"""The Django application."""

from django.apps import AppConfig
from django.core.checks import register


class TenureConfig(AppConfig):
    """The application `tenure`."""

    name = "tenure.integrations.django"
    label = "tenure"
    verbose_name = "tenure: sessions"

    def ready(self) -> None:
        """Register the settings' checks and the signals of accounts."""
        from tenure.integrations.django import signals
        from tenure.integrations.django.checks import check_settings

        register(check_settings)
        signals.connect()
