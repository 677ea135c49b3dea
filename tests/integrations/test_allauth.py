"""django-allauth logs in, by its headless API, and tenure keeps people logged in."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent

STORY = """
import json
import time
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from tenure.integrations.django.conf import tenure

call_command("migrate", verbosity=0)
call_command("check")
ada = get_user_model().objects.create_user("ada", "ada@example.com", "correct horse battery")
client = Client(headers={"user-agent": "Notes/1.0"})
API = "/_allauth/app/v1"

def call(method, path, body=None, **headers):
    given = {} if body is None else {"data": body, "content_type": "application/json"}
    answer = getattr(client, method)(path, **given, headers=headers)
    return answer.status_code, answer.json() if answer.content else None

def login():
    status, body = call("post", f"{API}/auth/login", {"username": "ada", "password": "correct horse battery"})
    assert status == 200, body
    return body["meta"]

def bearer(token):
    return {"authorization": f"Bearer {token}"}
"""


def played(tmp_path: Path, story: str) -> Any:
    project = (ROOT / "tests" / "integrations" / "allauth_project.py").read_text()
    script = tmp_path / "project.py"
    script.write_text(project + STORY + story)
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_login_of_allauth_is_a_session_here(tmp_path: Path) -> None:
    said = played(
        tmp_path,
        """
meta = login()
status, me = call("get", "/me", **bearer(meta["access_token"]))
(session,) = tenure().sessions(str(ada.pk))
status, renewed = call("post", "/auth/refresh", {"refresh_token": meta["refresh_token"]})
by_allauth = call("post", f"{API}/tokens/refresh", {"refresh_token": renewed["refresh_token"]})
again = call("get", "/me", **bearer(by_allauth[1]["data"]["access_token"]))
refused = call("post", f"{API}/tokens/refresh", {"refresh_token": "tnr1_nonsense"})
trail = [one.kind for one in tenure().audit(str(ada.pk))]
print(json.dumps([meta, me, session.device, by_allauth, again[0], refused[0], trail]))
""",
    )
    meta, me, device, by_allauth, again, refused, trail = said
    assert meta["is_authenticated"] is True
    assert meta["expires_in"] == 600
    assert meta["refresh_token"].startswith("tnr1_")
    assert me == {"sub": "1", "amr": ["pwd"]}
    assert device == "Notes/1.0"
    assert by_allauth[0] == 200
    assert by_allauth[1]["data"]["refresh_token"].startswith("tnr1_")
    assert (again, refused) == (200, 400)
    assert trail == ["logged_in"]


def test_either_token_serves_at_allauths_own_endpoints(tmp_path: Path) -> None:
    said = played(
        tmp_path,
        """
meta = login()
answers = []
for headers in (bearer(meta["access_token"]), bearer(meta["access_token"]), {"x-session-token": meta["session_token"]},
                {}, bearer("nonsense")):
    status, body = call("get", f"{API}/auth/session", **headers)
    answers.append([status, body["data"].get("user", {}).get("username"), "access_token" in body["meta"]])
emails = call("get", f"{API}/account/email", **bearer(meta["access_token"]))[0]
print(json.dumps([answers, emails, len(tenure().sessions(str(ada.pk)))]))
""",
    )
    assert said == [[[200, "ada", False]] * 3 + [[401, None, False]] * 2, 200, 1]


@pytest.mark.parametrize("token", ["access_token", "session_token"])
def test_logging_out_of_allauth_ends_the_session_here(tmp_path: Path, token: str) -> None:
    said = played(
        tmp_path,
        f"""
meta = login()
headers = bearer(meta["access_token"]) if {token!r} == "access_token" else {{"x-session-token": meta["session_token"]}}
status, _ = call("delete", f"{{API}}/auth/session", **headers)
ended = tenure().audit(str(ada.pk))[0]
refreshed = call("post", "/auth/refresh", {{"refresh_token": meta["refresh_token"]}})
print(json.dumps([status, ended.reason, ended.by, refreshed[0], len(tenure().sessions(str(ada.pk)))]))
""",
    )
    assert said == [401, "logged_out", "owner", 400, 0]


def test_a_session_that_ends_here_ends_there(tmp_path: Path) -> None:
    """Ended elsewhere, by theft, by a new password."""
    said = played(
        tmp_path,
        """
answers = []
def ask(meta):
    return [call("get", f"{API}/auth/session", **headers)[0]
            for headers in (bearer(meta["access_token"]), {"x-session-token": meta["session_token"]})]
meta = login()
call("get", f"{API}/auth/session", **bearer(meta["access_token"]))
answers.append(ask(meta))
tenure().revoke_all(str(ada.pk))
answers.append(ask(meta))
meta = login()
status, _ = call("post", f"{API}/account/password/change",
                 {"current_password": "correct horse battery", "new_password": "staple of the horse"},
                 **{"x-session-token": meta["session_token"]})
answers.append([status, len(tenure().sessions(str(ada.pk)))])
print(json.dumps(answers))
""",
    )
    alive, ended, changed = said
    assert alive == [200, 200]
    assert ended == [401, 410]
    assert changed[1] == 0


def test_a_second_factor_is_told(tmp_path: Path) -> None:
    said = played(
        tmp_path,
        """
from allauth.mfa.totp.internal import auth as totp
secret = totp.generate_totp_secret()
totp.TOTP.activate(ada, secret)
status, body = call("post", f"{API}/auth/login", {"username": "ada", "password": "correct horse battery"})
sessions = len(tenure().sessions(str(ada.pk)))
code = totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time())))
token = body["meta"]["session_token"]
status2, second = call("post", f"{API}/auth/2fa/authenticate", {"code": code}, **{"x-session-token": token})
me = call("get", "/me", **bearer(second["meta"]["access_token"]))[1]
print(json.dumps([status, "access_token" in body["meta"], sessions, status2, me["amr"]]))
""",
    )
    assert said == [401, False, 0, 200, ["pwd", "otp", "mfa"]]


def test_while_the_store_is_away_it_is_told_and_nobody_is_logged_out(tmp_path: Path) -> None:
    said = played(
        tmp_path,
        """
from tenure import StoreUnavailable
meta = login()
store = tenure().store
run = store.run
def away(call):
    raise StoreUnavailable()
store.run = away
status, body = call("post", f"{API}/tokens/refresh", {"refresh_token": meta["refresh_token"]})
status2, _ = call("get", f"{API}/auth/session", **{"x-session-token": meta["session_token"]})
store.run = run
again = call("post", f"{API}/tokens/refresh", {"refresh_token": meta["refresh_token"]})[0]
print(json.dumps([status, status2, again]))
""",
    )
    assert said == [503, 503, 200]
