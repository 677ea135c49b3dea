"""Notes, with Django and DRF, in one file. Run it:

python -m examples.django_notes migrate && python -m examples.django_notes runserver
"""

import os
import sys

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        DEBUG=False,
        SECRET_KEY="for-this-example-only-0123456789-abcdefghijklmnop",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="examples.django_urls",
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "rest_framework",
            "tenure.integrations.django",
        ],
        MIDDLEWARE=[
            "django.middleware.common.CommonMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": os.environ.get("NOTES_DATABASE", "notes.sqlite3"),
                "ATOMIC_REQUESTS": True,
                "OPTIONS": {"transaction_mode": "IMMEDIATE"},
            }
        },
        PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"],
        TENURE={
            "SECRET": "for-this-example-only-0123456789-abcdef",
            "ISSUER": "http://127.0.0.1:8000",
            "AUDIENCE": "notes",
            "CLAIMS": "examples.django_urls.claims",
        },
        SIMPLE_JWT={"ROTATE_REFRESH_TOKENS": True},  # for those who come from it: see docs/django.md
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": ["tenure.integrations.django.rest_framework.TenureAuthentication"],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    django.setup()

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
