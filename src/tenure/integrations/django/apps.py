"""The Django application."""

from importlib.util import find_spec

from django.apps import AppConfig, apps
from django.contrib.auth.signals import user_logged_out
from django.core.checks import register
from django.core.signals import request_started


class TenureConfig(AppConfig):
    """The application `tenure`."""

    name = "tenure.integrations.django"
    label = "tenure"
    verbose_name = "tenure: sessions"

    def ready(self) -> None:
        """Register the settings' checks and the signals of accounts and requests."""
        from tenure.integrations.django import conf, signals
        from tenure.integrations.django.checks import check_settings

        register(check_settings)
        if find_spec("rest_framework_simplejwt") is not None:
            from tenure.integrations.django.simplejwt.checks import check_moved

            register(check_moved)
        if apps.is_installed("allauth.headless"):
            from tenure.integrations.django.allauth import end_with_allauth

            user_logged_out.connect(end_with_allauth, dispatch_uid="tenure-allauth")
        signals.connect()
        request_started.connect(conf.open_before_views, dispatch_uid="tenure-open")
