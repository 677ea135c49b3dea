"""For Django projects: an application for INSTALLED_APPS, with sessions in Django's own database.

    INSTALLED_APPS = [..., "tenure.integrations.django"]
    TENURE = {"SECRET": "…", "ISSUER": "https://app.example.com", "AUDIENCE": "app"}
    urlpatterns = [path("", include("tenure.integrations.django.urls")), ...]

Users log in through Django's authentication backends. Deactivating or deleting an account, or changing its password,
ends its sessions.
"""
