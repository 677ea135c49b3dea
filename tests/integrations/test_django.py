"""The example with Django, used as its people, their front ends, its admins and its operators use it."""

import asyncio
import importlib
import json
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.integrations.bound import only_the_owner_reads_the_notes
from tests.integrations.django_stores import sqlite_alias

ADA = {"username": "ada", "password": "correct horse battery"}
FORM = "application/x-www-form-urlencoded"
BOB = {"username": "bob", "password": "staple of the horse"}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[None]:
    """The example's project on a database of its own, with Ada (staff and superuser) and Bob."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import connections

    from tenure.integrations.django import conf

    connections["default"].close()
    connections.databases["default"]["NAME"] = connections["default"].settings_dict["NAME"] = str(
        tmp_path / "db.sqlite3"
    )
    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    users.create_superuser(**ADA)
    users.create_user(**BOB)
    yield
    conf.reset()
    connections["default"].close()


@pytest.fixture
def client(project: None) -> Any:
    from django.test import Client

    return Client(enforce_csrf_checks=True, raise_request_exception=False)


def login(client: Any, who: dict[str, str] = ADA, **more: str) -> dict[str, Any]:
    answer = client.post("/auth/login", {**who, **more}, content_type="application/json")
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def refresh(client: Any, pair: dict[str, Any]) -> Any:
    return client.post("/auth/refresh", {"refresh_token": pair["refresh_token"]}, content_type="application/json")


def bearer(pair: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access_token']}"}


def test_a_person_logs_in_writes_refreshes_and_leaves(client: Any) -> None:
    refused = client.get("/notes")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="tenure"')
    pair = login(client)
    kept = client.post("/notes", {"text": "first"}, content_type="application/json", headers=bearer(pair))
    assert kept.json() == ["first"]
    pair = refresh(client, pair).json()
    assert client.get("/notes", headers=bearer(pair)).json() == ["first"]
    assert client.get("/notes", headers=bearer(login(client, BOB))).json() == []
    assert client.get("/whoami", headers=bearer(pair)).json() == {"subject": "1"}
    ended = client.delete(f"/auth/sessions/{pair['session_id']}", headers=bearer(login(client)))
    assert ended.status_code == 204
    assert client.get("/notes", headers=bearer(pair)).status_code == 401
    assert refresh(client, pair).json()["reason"] == "revoked"


def test_wrong_credentials_and_inactive_users(client: Any) -> None:
    wrong = client.post("/auth/login", {**ADA, "password": "x"}, content_type="application/json")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")


def test_a_page_gets_its_refresh_token_in_a_cookie(client: Any) -> None:
    login(client, transport="cookie")
    cookie = client.cookies["tenure-refresh"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/auth")
    assert client.post("/auth/refresh", "", content_type="application/json").status_code == 200
    assert (
        client.post("/auth/refresh", "", "application/json", headers={"Origin": "https://evil.example"}).status_code
        == 403
    )


def test_roles_recent_logins_and_bad_input(client: Any) -> None:
    ada, bob = login(client), login(client, BOB)
    assert client.get("/statistics", headers=bearer(ada)).status_code == 200
    assert client.get("/statistics", headers=bearer(bob)).status_code == 403
    assert client.delete("/notes/forget", headers=bearer(bob)).status_code == 200
    assert client.put("/auth/login").status_code == 405
    assert client.post("/auth/login", b"x" * 70_000, content_type="application/json").status_code == 413
    assert client.get("/whoami", headers={"Authorization": "Bearer rubbish"}).json()["error"] == "invalid_token"


@pytest.mark.asvs("7.5.1", "7.5.3", "10.3.4")
def test_an_old_login_is_not_a_recent_one(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenure.integrations.django.conf import tenure

    pair = login(client)
    now = time.time()
    monkeypatch.setattr(tenure().issuer, "_clock", lambda: now + 301)
    refused = client.delete("/notes/forget", headers=bearer(pair))
    assert refused.status_code == 401
    assert refused.json()["error"] == "insufficient_user_authentication"
    assert refused.headers["www-authenticate"].endswith("max_age=300")
    stepped_up = client.post("/auth/step-up", ADA, content_type="application/json", headers=bearer(pair))
    assert stepped_up.status_code == 200
    pair = refresh(client, pair).json()
    assert client.delete("/notes/forget", headers=bearer(pair)).status_code == 200


def test_a_rotation_is_committed_even_if_the_view_fails(project: None, tmp_path: Path) -> None:
    """ATOMIC_REQUESTS: on PostgreSQL the store has a connection of its own."""
    from django.db import transaction

    from tenure.core.calls import Create, Get
    from tenure.integrations.django.store import DjangoStore
    from tests.integrations.django_stores import postgres_alias
    from tests.stores.test_conformance import advance, session

    alias = postgres_alias()
    store = DjangoStore(alias)
    made = session()
    store.run(Create(made))
    with pytest.raises(RuntimeError), transaction.atomic(using=alias):
        assert store.run(advance(made)) is not None
        raise RuntimeError("the view fails")
    found = store.run(Get(made.id))
    assert found is not None
    assert found.head.generation == 1
    store.close()


def test_on_sqlite_a_view_does_not_wait_for_itself(tmp_path: Path) -> None:
    from django.db import connections, transaction

    from tenure.core.calls import Create, Get
    from tenure.integrations.django.store import DjangoStore
    from tests.stores.test_conformance import session

    alias = sqlite_alias(tmp_path)
    store = DjangoStore(alias)
    made, begun = session(), time.monotonic()
    with transaction.atomic(using=alias):
        connections[alias].cursor().execute("UPDATE tenure_django_sessions SET scope = 'x'")
        assert store.run(Create(made)) == ()
    assert time.monotonic() - begun < 2
    assert store.run(Get(made.id)) == made
    store.close()
    connections[alias].close()


def test_on_sqlite_reading_does_not_wait_for_who_writes(tmp_path: Path) -> None:
    """Following revocations takes no write lock, so that it never makes a view fail with "database is locked"."""
    from django.db import connections, transaction

    from tenure.core.calls import RevokedSince
    from tenure.integrations.django.store import DjangoStore

    alias = sqlite_alias(tmp_path)
    store, begun = DjangoStore(alias), time.monotonic()
    with transaction.atomic(using=alias):
        connections[alias].cursor().execute("UPDATE tenure_django_sessions SET scope = 'x'")
        with ThreadPoolExecutor() as another:
            assert another.submit(store.run, RevokedSince(0)).result().revoked == ()
    assert time.monotonic() - begun < 2
    store.close()
    connections[alias].close()


@pytest.mark.parametrize("change", ["password", "inactive", "deleted"])
@pytest.mark.asvs("7.4.2")
def test_what_happens_to_an_account_happens_to_its_sessions(client: Any, change: str) -> None:
    from django.contrib.auth import get_user_model

    pair, other = login(client, BOB), login(client)
    bob = get_user_model().objects.get(username="bob")
    if change == "password":
        bob.set_password("a new one, and a long one")
        bob.save()
    elif change == "inactive":
        bob.is_active = False
        bob.save(update_fields=["is_active"])
    else:
        bob.delete()
    assert client.get("/notes", headers=bearer(pair)).status_code == 401
    assert refresh(client, pair).json()["reason"] == "revoked"
    assert refresh(client, other).status_code == 200


def test_what_is_no_change_of_an_account_ends_nothing(client: Any) -> None:
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import make_password

    pair = login(client, BOB)
    bob = get_user_model().objects.get(username="bob")
    bob.last_name = "Example"
    bob.save()
    bob.password = make_password(BOB["password"])  # hashed anew at a login, as Django does it
    bob.save(update_fields=["password"])
    assert refresh(client, pair).status_code == 200


def test_a_user_that_was_switched_off_behind_djangos_back_is_noticed_at_the_refresh(client: Any) -> None:
    from django.contrib.auth import get_user_model

    pair = login(client, BOB)
    get_user_model().objects.filter(username="bob").update(is_active=False)
    assert refresh(client, pair).json()["reason"] == "revoked"


def test_admins_see_sessions_and_end_them(client: Any) -> None:
    from django.contrib.auth import get_user_model
    from django.test import Client

    pair = login(client, BOB, device="Bob's phone")
    login(client, device="Ada's laptop")
    admin = Client()
    admin.force_login(get_user_model().objects.get(username="ada"))
    page = admin.get("/admin/tenure/session/").content.decode()
    assert "Bob&#x27;s phone" in page
    assert "live" in page
    assert "tnr1_" not in page
    found = admin.get("/admin/tenure/session/?q=2").content.decode()
    assert "Bob&#x27;s phone" in found
    assert "Ada&#x27;s laptop" not in found
    done = admin.post(
        "/admin/tenure/session/", {"action": "end_sessions", "_selected_action": [pair["session_id"]]}, follow=True
    )
    assert "1 sessions were ended." in done.content.decode()
    assert client.get("/notes", headers=bearer(pair)).status_code == 401
    assert "ended_by_admin" in admin.get("/admin/tenure/session/").content.decode()
    assert admin.get("/admin/tenure/session/add/").status_code == 403
    trail = admin.get("/admin/tenure/auditentry/?q=2").content.decode()
    assert "ended_by_admin" in trail
    assert "Bob&#x27;s phone" in trail
    assert "127.0.0.1" in trail
    assert "Bob&#x27;s phone" not in admin.get("/admin/tenure/auditentry/?q=203.0").content.decode()
    assert admin.get("/admin/tenure/auditentry/add/").status_code == 403
    client.get("/admin/")


def test_admins_are_told_when_sessions_cannot_be_ended(client: Any) -> None:
    from django.contrib.auth import get_user_model
    from django.db import connections
    from django.test import Client

    pair = login(client, BOB)
    admin = Client()
    admin.force_login(get_user_model().objects.get(username="ada"))
    connections["default"].close()
    with closing(sqlite3.connect(connections["default"].settings_dict["NAME"])) as another:
        another.execute("BEGIN IMMEDIATE")
        with patch.dict(connections["default"].settings_dict, {"ATOMIC_REQUESTS": False}):
            done = admin.post(
                "/admin/tenure/session/", {"action": "end_sessions", "_selected_action": [pair["session_id"]]}
            )
        another.rollback()
    assert done.status_code == 302
    page = admin.get("/admin/tenure/session/").content.decode()
    assert "The session store can&#x27;t be reached right now. Try again shortly." in page
    assert "0 sessions were ended." in page
    assert client.get("/notes", headers=bearer(pair)).status_code == 200


def test_the_command_purges(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.management import call_command

    from tenure.integrations.django.conf import tenure

    pair = login(client)
    tenure().revoke(pair["session_id"])
    said = StringIO()
    call_command("tenure_purge", stdout=said)
    assert said.getvalue() == "0 sessions were deleted.\n"
    now = time.time()
    monkeypatch.setattr(tenure().issuer, "_clock", lambda: now + 2 * 86400)
    said = StringIO()
    call_command("tenure_purge", "--keep", "1", stdout=said)
    assert said.getvalue() == "1 sessions were deleted.\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, "settings.TENURE is missing"),
        ({"SECRET": ""}, "lacks SECRET"),
        ({"SECRET": "short"}, "has 5 bytes"),
        ({"COLOUR": "red"}, "has no COLOUR"),
        ({"POLICY": {"access_ttl": -1}}, "access_ttl is at least"),
        ({"POLICY": {"life": 1}}, "life"),
        ({"DEVICES": {"colour": "red"}}, "settings.TENURE['DEVICES']"),
        ({"DEVICES": {"place": "nowhere.place"}}, "No module named 'nowhere'"),
        ({"DEVICES": {"texts": {"de": {"titel": "x"}}}}, "no page says 'titel'"),
        ({"DEVICES": "x"}, "settings.TENURE['DEVICES']"),
        ({"DATABASE": "nowhere"}, "has no 'nowhere'"),
        ({"ISSUER": "http://app.example.com"}, "https address"),
        ({"STORE": "memory://"}, "forgets"),
        ({"DATABASE": "late"}, '"transaction_mode": "IMMEDIATE"'),
    ],
)
def test_settings_are_checked(change: dict[str, Any] | None, said: str, project: None) -> None:
    from django.conf import settings
    from django.core.checks import run_checks
    from django.db import connections
    from django.test import override_settings

    late = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "ATOMIC_REQUESTS": True}
    databases = connections.configure_settings({"default": {}, "late": late})
    block = None if change is None else {**settings.TENURE, **change}
    with override_settings(TENURE=block), patch.dict(connections.databases, {"late": databases["late"]}):
        messages = [str(message.msg) for message in run_checks() if str(message.id).startswith("tenure.")]
    assert len(messages) == 1
    assert said in messages[0]
    assert not [message for message in run_checks() if str(message.id).startswith("tenure.")]


def place(address: str) -> str:
    return f"the town of {address}"


def test_the_page_of_devices_is_the_projects(project: None) -> None:
    from django.conf import settings
    from django.test import Client, override_settings

    from tenure.integrations.django import conf

    devices = {"place": f"{__name__}.place", "texts": {"de": {"title": "Deine Geräte", "this_device": "Hier"}}}
    with override_settings(TENURE={**settings.TENURE, "DEVICES": devices}):
        conf.reset()
        client = Client()
        pair = login(client)
        headers = {**bearer(pair), "Accept": "text/html", "Accept-Language": "de"}
        page = client.get("/auth/devices", headers=headers).content.decode()
        answer = client.post(
            "/auth/devices", "end=others", content_type=FORM, headers={**bearer(pair), "Accept": "*/*"}
        )
    assert "Deine Geräte" in page
    assert "the town of 127.0.0.1 (127.0.0.1)" in page
    assert answer.json()["devices"][0]["current"] is True


def test_the_migrations_say_what_the_models_say(project: None) -> None:
    from django.core.management import call_command

    call_command("makemigrations", "tenure", check=True, dry_run=True, verbosity=0)


def test_async_views_are_guarded_too(client: Any) -> None:
    from django.test import AsyncClient

    pair = login(client)

    async def ask() -> tuple[int, Any]:
        other = AsyncClient()
        stranger = await other.get("/whoami")
        known = await other.get("/whoami", headers=bearer(pair))
        return stranger.status_code, known.json()

    assert asyncio.run(ask()) == (401, {"subject": "1"})


def old_token(name: str) -> str:
    from django.contrib.auth import get_user_model
    from rest_framework_simplejwt.tokens import RefreshToken

    return str(RefreshToken.for_user(get_user_model().objects.get(username=name)))


def old_refresh(client: Any, token: str) -> Any:
    return client.post("/api/token/refresh/", {"refresh": token}, content_type="application/json")


def test_those_who_come_from_simplejwt_stay_logged_in(client: Any) -> None:
    old = old_token("bob")
    moved = old_refresh(client, old)
    assert moved.status_code == 200
    assert client.get("/notes", headers={"Authorization": f"Bearer {moved.json()['access']}"}).json() == []
    again = old_refresh(client, moved.json()["refresh"])
    assert again.json()["refresh"].startswith("tnr1_")
    late = old_refresh(client, old)
    assert (late.status_code, late.json()["code"]) == (401, "token_not_valid")
    assert old_refresh(client, again.json()["refresh"]).status_code == 200  # which ends nothing


def test_a_lost_answer_to_the_exchange_is_asked_for_again(client: Any) -> None:
    old = old_token("bob")
    lost = old_refresh(client, old).json()
    kept = old_refresh(client, old).json()
    assert old_refresh(client, lost["refresh"]).status_code == 401
    assert old_refresh(client, kept["refresh"]).status_code == 200
    headers = {"Authorization": f"Bearer {kept['access']}"}
    assert len(client.get("/auth/sessions", headers=headers).json()["sessions"]) == 1


def test_what_is_no_good_token_is_not_exchanged(client: Any) -> None:
    from django.contrib.auth import get_user_model

    for token in ("rubbish", old_token("bob")[:-3] + "xyz", "tnr1_" + "A" * 112):
        assert old_refresh(client, token).status_code == 401
    assert client.get("/api/token/refresh/").status_code == 405
    assert client.post("/api/token/refresh/", {"refresh": 7}, content_type="application/json").status_code == 401
    assert client.post("/api/token/refresh/", {"refresh": [7]}, content_type="application/json").status_code == 400
    assert client.post("/api/token/refresh/", "{", content_type="application/json").status_code == 400
    gone = old_token("bob")
    get_user_model().objects.get(username="bob").delete()
    assert old_refresh(client, gone).status_code == 401


def test_the_example_is_a_module() -> None:
    assert importlib.import_module("examples.django_notes").settings.TENURE["AUDIENCE"] == "notes"


def test_a_bound_session_is_used_with_proofs(client: Any) -> None:
    def send(method: str, path: str, headers: dict[str, str]) -> Any:
        answer = client.generic(method, path, json.dumps(ADA), "application/json", headers=headers)
        answer.text = answer.content.decode()
        return answer

    only_the_owner_reads_the_notes(send)
