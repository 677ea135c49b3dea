"""What the two Django projects share: a database that stays connected, and as little else as they can do with."""

import os
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict


def configure(module: str, *apps: str, **more: Any) -> None:
    """Set up a project whose URLs are in `module`."""
    place = conninfo_to_dict(os.environ["PEER_DATABASE"])
    settings.configure(
        SECRET_KEY="x" * 50,
        ROOT_URLCONF=module,
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *apps],
        MIDDLEWARE=[
            "django.middleware.common.CommonMiddleware"
        ],  # answers with a length, so that connections stay open
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": place["dbname"],
                "USER": place["user"],
                "HOST": place["host"],
                "CONN_MAX_AGE": None,
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        LOGGING={"version": 1, "handlers": {}, "root": {"handlers": []}},
        LOGGING_CONFIG=None,
        USE_TZ=True,
        BASE_DIR=Path(__file__).parent,
        **more,
    )
    django.setup()
