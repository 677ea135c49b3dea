"""Against djangorestframework-simplejwt with rotation and blacklist on SQLite: its own refresh, as its view calls it.

Configured as its documentation says (ROTATE_REFRESH_TOKENS, BLACKLIST_AFTER_ROTATION, UPDATE_LAST_LOGIN off), each
refresh committed by itself.
"""

import statistics
import tempfile
import threading
import time
from pathlib import Path

import django
import uvloop
from django.conf import settings
from django.core.management import call_command

from benchmarks.refresh import whole
from benchmarks.report import report

REFRESHES, RUNS = 300, 5


def prepare(folder: Path) -> None:
    settings.configure(
        SECRET_KEY="x" * 50,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "rest_framework",
            "rest_framework_simplejwt",
            "rest_framework_simplejwt.token_blacklist",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "peer.db"}},
        SIMPLE_JWT={"ROTATE_REFRESH_TOKENS": True, "BLACKLIST_AFTER_ROTATION": True},
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        prepare(folder)
        from django.contrib.auth.models import User
        from django.db import connection, connections
        from django.test.utils import CaptureQueriesContext
        from rest_framework_simplejwt.serializers import TokenRefreshSerializer
        from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
        from rest_framework_simplejwt.tokens import RefreshToken

        user = User.objects.create_user("ada")

        def refresh(token: str) -> str:
            serializer = TokenRefreshSerializer(data={"refresh": token})
            serializer.is_valid(raise_exception=True)
            return serializer.validated_data["refresh"]

        token, rates = str(RefreshToken.for_user(user)), []
        for _ in range(RUNS):
            begun = time.perf_counter()
            for _ in range(REFRESHES):
                token = refresh(token)
            rates.append(REFRESHES / (time.perf_counter() - begun))

        def rows() -> int:
            return OutstandingToken.objects.count() + BlacklistedToken.objects.count()

        before = rows()
        with CaptureQueriesContext(connection) as queries:
            token = refresh(token)
        added = rows() - before
        children, barrier = [], threading.Barrier(8)

        def race() -> None:
            barrier.wait()
            try:
                children.append(refresh(token))
            except Exception as refused:  # how a racer is refused is its own business
                children.append(type(refused).__name__)
            connections.close_all()

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        alive = 0
        for child in children:
            try:
                refresh(child)
                alive += 1
            except Exception:
                pass
        ours = statistics.median(uvloop.run(whole(f"sqlite:///{folder}/whole.db")))
        theirs = statistics.median(rates)
        connections.close_all()
    report(
        "djangorestframework-simplejwt, rotation and blacklist, SQLite, refreshes a second",
        value=theirs,
        statements_a_refresh=len(queries),
        rows_added_a_refresh=added,
        live_children_of_8_concurrent_refreshes=alive,
    )
    report("refreshes against djangorestframework-simplejwt", ratio=ours / theirs, goal=40)
