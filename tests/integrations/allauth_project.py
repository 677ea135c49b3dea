"""A project with django-allauth's headless API and tenure's token strategy, in one file. Its argument: a folder."""

import sys

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="of-the-project-0123456789-abcdefghijklmnopqrstuv",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "allauth",
        "allauth.account",
        "allauth.headless",
        "allauth.mfa",
        "allauth.usersessions",
        "tenure.integrations.django",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "allauth.account.middleware.AccountMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]}}],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{sys.argv[-1]}/project.db",
                           "OPTIONS": {"transaction_mode": "IMMEDIATE"}}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
    ACCOUNT_EMAIL_VERIFICATION="none",
    ACCOUNT_RATE_LIMITS=False,
    HEADLESS_ONLY=True,
    HEADLESS_CLIENTS=("app", "browser"),
    HEADLESS_TOKEN_STRATEGY="tenure.integrations.django.allauth.TenureTokenStrategy",
    EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
    TENURE={"SECRET": "0123456789-abcdefghijklmnopqrstuvwxyz", "ISSUER": "http://127.0.0.1:8000", "AUDIENCE": "app"},
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)  # fmt: skip
django.setup()

from django.http import JsonResponse
from django.urls import include, path

from tenure.integrations.django.views import session_required


@session_required
def me(request):
    claims = request.tenure_session
    return JsonResponse({"sub": claims.subject, "amr": claims.raw.get("amr")})


urlpatterns = [
    path("_allauth/", include("allauth.headless.urls")),
    path("", include("tenure.integrations.django.urls")),
    path("me", me),
]
