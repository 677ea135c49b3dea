"""Below a path, and logged in again: Flask and Django, as test_addresses.py has it for the service and Starlette."""

import sys
import types
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client as WerkzeugClient

from tenure import Verifier
from tests.circumstances.test_lives import in_child
from tests.conftest import AUDIENCE, SECRET
from tests.integrations.test_django import ADA, project  # noqa: F401 - a fixture

ORIGIN = "http://127.0.0.1:8000"


@pytest.fixture
def site() -> Iterator[flask.Flask]:
    from tenure.integrations.flask import Sessions

    app = flask.Flask(__name__)
    app.config.update(TENURE_STORE="memory://", TENURE_SECRET=SECRET, TENURE_ISSUER=ORIGIN, TENURE_AUDIENCE=AUDIENCE)
    sessions = Sessions(app, authenticator=lambda name, password: name, prefix="/sessions")

    @app.post("/enter")
    def enter() -> Any:
        return sessions.answer(sessions.tenure().login("own"))

    yield app
    with app.app_context():
        sessions.tenure().close()


def path_of(answer: Any, name: str = "tenure-refresh") -> str:
    (header,) = [one for one in answer.headers.getlist("set-cookie") if one.startswith(f"{name}=tnr1_")]
    return str(header.partition("Path=")[2].partition(";")[0])


def test_flask_below_a_path(site: flask.Flask) -> None:
    mounted = DispatcherMiddleware(flask.Flask("outer"), {"/api/v1": site})
    client = WerkzeugClient(mounted)
    answer = client.post(
        "/api/v1/sessions/login", json={"username": "ada", "password": "x", "transport": "cookie"}, base_url=ORIGIN
    )
    assert answer.status_code == 200, answer.text
    assert path_of(answer) == "/api/v1/sessions"
    assert client.post("/api/v1/sessions/refresh", base_url=ORIGIN).status_code == 200
    assert client.post("/api/v1/auth/refresh", base_url=ORIGIN).status_code == 404


def test_flask_ends_what_a_login_replaces(site: flask.Flask) -> None:
    client = WerkzeugClient(site)
    for _ in range(3):
        answer = client.post("/enter", base_url=ORIGIN)
    with site.app_context():
        live = site.extensions["tenure"].tenure.sessions("own")
    assert [one.id for one in live] == [answer.json["session_id"]]


@pytest.mark.parametrize("below", ["", "api/v1/"])
def test_django_below_a_path(project: None, below: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    from django.test import Client, override_settings
    from django.urls import include, path

    from tenure.integrations.django import conf
    from tenure.integrations.django.views import answer_pair

    def enter(request: Any) -> Any:
        return answer_pair(conf.tenure().login("1"), request)

    urls = types.ModuleType("tests_urls_below")
    urls.urlpatterns = [path(below, include("tenure.integrations.django.urls")), path("enter", enter)]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tests_urls_below", urls)
    with override_settings(ROOT_URLCONF="tests_urls_below"):
        client = Client()
        answer = client.post(f"/{below}auth/login", {**ADA, "transport": "cookie"}, content_type="application/json")
        assert answer.cookies["tenure-refresh"]["path"] == f"/{below}auth"
        assert client.post(f"/{below}auth/refresh", {}, content_type="application/json").status_code == 200
        answer = client.post("/enter")
        assert answer.cookies["tenure-refresh"]["path"] == f"/{below}auth"
        (live,) = conf.tenure().sessions("1")
        assert live.id == answer.json()["session_id"]  # the first was replaced


def test_a_verifier_goes_on_in_a_child(site: flask.Flask) -> None:
    with site.app_context():
        auth = site.extensions["tenure"].tenure
        pair = auth.login("ada")
        verifier = Verifier(auth.jwks(), ORIGIN, AUDIENCE)
        verifier._lock.acquire()  # another thread fetches keys in this moment
        in_child(lambda: (verifier._fetch("http://127.0.0.1:1/"), verifier.verify(pair.access_token)))
        verifier._lock.release()
        assert verifier.verify(pair.access_token)
