"""dj-rest-auth's cookies and views over sessions of tenure: a project before and after its move, over one database."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = """
import datetime
import json
import sys

import django
from django.conf import settings

MOVED = sys.argv[1] == "moved"
SERIALIZER = "tenure.integrations.django.simplejwt.serializers.TokenObtainPairSerializer"
settings.configure(
    SECRET_KEY="of-the-project-0123456789-abcdefghijklmnopqrstuv",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="__main__",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "rest_framework",
                    "rest_framework.authtoken", "dj_rest_auth", "rest_framework_simplejwt.token_blacklist",
                    *(["tenure.integrations.django"] if MOVED else [])],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "project.db", "ATOMIC_REQUESTS": True,
                           "OPTIONS": {"transaction_mode": "IMMEDIATE"}}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    REST_AUTH={"USE_JWT": True, "JWT_AUTH_COOKIE": "access", "JWT_AUTH_REFRESH_COOKIE": "refresh",
               "JWT_AUTH_COOKIE_USE_CSRF": True, "SESSION_LOGIN": False,
               **({"JWT_TOKEN_CLAIMS_SERIALIZER": SERIALIZER} if MOVED else {})},
    SIMPLE_JWT={"ROTATE_REFRESH_TOKENS": True, "REFRESH_TOKEN_LIFETIME": datetime.timedelta(days=90)},
    TENURE={"SECRET": "s" * 40, "ISSUER": "http://127.0.0.1:8000", "AUDIENCE": "app"},
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.urls import include, path
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

if MOVED:
    from tenure.integrations.django.simplejwt.dj_rest_auth import (
        JWTCookieAuthentication, LoginView, LogoutView, TokenRefreshView, TokenVerifyView,
    )
    OURS = [path("auth/login/", LoginView.as_view()), path("auth/logout/", LogoutView.as_view()),
            path("auth/token/refresh/", TokenRefreshView.as_view()),
            path("auth/token/verify/", TokenVerifyView.as_view())]
else:
    from dj_rest_auth.jwt_auth import JWTCookieAuthentication
    OURS = []


@api_view(["GET", "POST"])
@authentication_classes([JWTCookieAuthentication])
@permission_classes([IsAuthenticated])
def me(request):
    return Response({"name": request.user.get_username()})


urlpatterns = [*OURS, path("auth/", include("dj_rest_auth.urls")), path("me", me)]
call_command("migrate", verbosity=0)
people = get_user_model().objects
people.filter(username="ada").exists() or people.create_user("ada", password="horse")


def browser(cookies=None, **options):
    client = Client(headers={"user-agent": "Firefox"}, **options)
    for name, value in (cookies or {}).items():
        client.cookies[name] = value
    return client


def jar(client):
    return {name: morsel.value for name, morsel in client.cookies.items() if morsel.value}


def login(client):
    return client.post("/auth/login/", {"username": "ada", "password": "horse"}, content_type="application/json")
"""


def played(folder: Path, kind: str, story: str) -> Any:
    script = folder / "project.py"
    script.write_text(PROJECT + story)
    done = subprocess.run([sys.executable, script, kind], capture_output=True, text=True, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_whoever_is_logged_in_by_old_cookies_stays_logged_in(tmp_path: Path) -> None:
    old = played(
        tmp_path,
        "before",
        "client = browser(); login(client); print(json.dumps([jar(client), client.get('/me').json()]))",
    )
    assert old[1] == {"name": "ada"}
    said = played(
        tmp_path,
        "moved",
        f"""
from tenure.integrations.django.conf import tenure
client = browser({old[0]!r})
answers = [client.get("/me").status_code]
for _ in range(3):
    answers.append(client.post("/auth/token/refresh/", {{}}, content_type="application/json").status_code)
    answers.append(client.get("/me").json()["name"])
sessions = len(tenure().sessions("1"))
answers.append(client.post("/auth/logout/").status_code)
print(json.dumps([answers, sessions, jar(client), len(tenure().sessions("1"))]))
""",
    )
    assert said == [[200, 200, "ada", 200, "ada", 200, "ada", 200], 1, {}, 0]


def test_a_login_by_cookies(tmp_path: Path) -> None:
    said = played(
        tmp_path,
        "moved",
        """
from tenure.integrations.django.conf import tenure
client = browser(enforce_csrf_checks=True)
answer = login(client)
(session,) = tenure().sessions("1")
first = jar(client)["refresh"]
statuses = [answer.status_code, client.get("/me").status_code, client.post("/me").status_code]
token = {"token": jar(client)["access"]}
verified = client.post("/auth/token/verify/", token, content_type="application/json").status_code
for _ in range(3):
    client.post("/auth/token/refresh/", {}, content_type="application/json")
stolen = browser({"refresh": first}).post("/auth/token/refresh/", {}, content_type="application/json").status_code
live = len(tenure().sessions("1"))
print(json.dumps([statuses, verified, session.device, first[:5], answer.json()["refresh"], stolen, live]))
""",
    )
    assert said == [[200, 200, 403], 200, "Firefox", "tnr1_", "", 401, 0]


def test_a_log_out_without_a_token_answers_as_before(tmp_path: Path) -> None:
    story = "print(json.dumps([browser().post('/auth/logout/').status_code, browser().post('/auth/logout/').json()]))"
    assert played(tmp_path, "before", story) == played(tmp_path, "moved", story)
