"""From Flask-Login to tenure: who is logged in by its cookie stays logged in (docs/flask.md)."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import flask
import pytest
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.test import TestResponse

from tenure.integrations.flask import Sessions, current_session, session_required

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # Flask-Login's
NAVIGATES = {"accept": "text/html", "sec-fetch-mode": "navigate"}


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


def managed(name: str) -> flask.Flask:
    app = flask.Flask(name)
    app.config.update(SECRET_KEY="of-the-project", SESSION_COOKIE_NAME="session")
    LoginManager(app).user_loader(User)
    return app


@pytest.fixture
def after(tmp_path: Path) -> Iterator[flask.Flask]:
    """The application after its move. Its login page is where the two meet."""
    app = managed("after")
    app.config.update(TENURE_STORE=f"sqlite:///{tmp_path}/app.db", TENURE_SECRET="s" * 40)
    app.config.update(TENURE_ISSUER="http://localhost", TENURE_AUDIENCE="app")
    sessions = Sessions(login_page="/login")
    sessions.init_app(app)

    @app.get("/login")
    def login() -> flask.Response | str:
        if current_user.is_authenticated:
            pair = sessions.tenure().login(current_user.get_id(), device=flask.request.headers.get("User-Agent", ""))
            logout_user()
            return sessions.answer_page(pair, flask.request.args.get("next", "/"))
        return "<form>…</form>"

    @app.get("/")
    @session_required(page=True)
    def home() -> str:
        return f"Hello {current_session.subject}"

    yield app
    sessions.tenure(app).close()


def visited(client: FlaskClient, path: str) -> TestResponse:
    """Go to a page as a browser does, redirects by the page itself included."""
    answer = client.get(path, headers=NAVIGATES, follow_redirects=True)
    onward = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
    return answer if onward is None else visited(client, unescape(onward[1]))


def test_whoever_is_logged_in_stays_logged_in(after: flask.Flask) -> None:
    before = managed("before")

    @before.get("/login")
    def login() -> str:
        login_user(User("ada"), remember=True)
        return "in"

    old = before.test_client()
    old.get("/login")
    client = after.test_client()
    for name in ("session", "remember_token"):
        cookie = old.get_cookie(name)
        assert cookie is not None
        client.set_cookie(name, cookie.value)
    answer = visited(client, "/?tab=1")
    assert answer.text == "Hello ada"
    assert answer.request.full_path == "/?tab=1"
    assert client.get_cookie("remember_token") is None
    assert client.get("/", headers=NAVIGATES).text == "Hello ada"


def test_a_stranger_gets_the_form(after: flask.Flask) -> None:
    answer = visited(after.test_client(), "/")
    assert "<form>" in answer.text
