"""One small site with server-rendered pages, in FastAPI, Flask and Django: the same pages, the same login.

/enter      a form that logs ada in      /page      a page for those who are logged in, and a form on it
/cookies    the names of the cookies that came      /later  moves the site's clock on by so many seconds
/elsewhere  what another site would have: a link and a form that lead here
"""

import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tenure import AsyncTenure, Policy
from tests.conftest import AUDIENCE, SECRET, Clock

LOGIN_PAGE = "/enter?from=pages"
MODULE = """<script type="module">
import { createSession } from '/auth/tenure.js'
const session = createSession()
await session.restore()
document.title = (await (await session.fetch('/auth/me')).json()).sub
</script>"""


def form(to: str) -> str:
    return f'<form method="post" action="/enter?next={to}"><button>Log in</button></form>'


def page_of(subject: str, q: str) -> str:
    return f'<p>{subject} {q}</p><form method="post" action="/page"><button>Change</button></form>{MODULE}'


def changed_by(subject: str) -> str:
    return f"<p>changed by {subject}</p>"


def elsewhere(origin: str) -> str:
    return (
        f'<a href="{origin}/page">a link</a><form method="post" action="{origin}/page"><button>a trap</button></form>'
    )


def names(cookies: Iterable[str]) -> str:
    return " ".join(sorted(cookies))


@contextmanager
def fastapi_app(folder: Path, clock: Clock, origin: str) -> Iterator[Any]:
    from fastapi import FastAPI, Request
    from fastapi.responses import HTMLResponse

    from tenure.integrations.fastapi import PageSession, Sessions, add_sessions

    auth = AsyncTenure(
        f"sqlite:///{folder}/pages.db", secret=SECRET, issuer=origin, audience=AUDIENCE, clock=clock, poll=3600
    )
    sessions = Sessions(auth, login_page=LOGIN_PAGE)
    app = FastAPI(lifespan=sessions.lifespan, default_response_class=HTMLResponse)
    add_sessions(app, sessions)

    @app.post("/enter")
    async def enter(request: Request, next: str = "/") -> Any:
        return sessions.answer_page(await auth.login("ada"), request, next)

    @app.get("/enter")
    async def show_form(next: str = "/") -> str:
        return form(next)

    @app.get("/page")
    async def page(session: PageSession, q: str = "") -> str:
        return page_of(session.subject, q)

    @app.post("/page")
    async def change(session: PageSession) -> str:
        return changed_by(session.subject)

    @app.get("/cookies")
    async def cookies(request: Request) -> str:
        return names(request.cookies)

    @app.get("/later")
    async def later(seconds: int) -> str:
        clock.advance(seconds)
        return "later"

    @app.get("/elsewhere")
    async def trap() -> str:
        return elsewhere(origin)

    yield app


@contextmanager
def flask_app(folder: Path, clock: Clock, origin: str, policy: Policy | None = None) -> Iterator[Any]:
    from flask import Flask, request

    from tenure.integrations.flask import Sessions, current_session, session_required

    app = Flask("pages")
    app.config.update(
        TENURE_STORE=f"sqlite:///{folder}/pages.db",
        TENURE_SECRET=SECRET,
        TENURE_ISSUER=origin,
        TENURE_AUDIENCE=AUDIENCE,
    )
    sessions = Sessions(app, clock=clock, poll=3600, login_page=LOGIN_PAGE, policy=policy)

    @app.route("/enter", methods=["GET", "POST"])
    def enter() -> Any:
        if request.method == "GET":
            return form(request.args.get("next", "/"))
        return sessions.answer_page(sessions.tenure().login("ada"), request.args.get("next", "/"))

    @app.route("/page", methods=["GET", "POST"])
    @session_required(page=True)
    def page() -> Any:
        who = current_session.subject
        return changed_by(who) if request.method == "POST" else page_of(who, request.args.get("q", ""))

    @app.route("/cookies")
    def cookies() -> Any:
        return names(request.cookies)

    @app.route("/later")
    def later() -> Any:
        clock.advance(int(request.args["seconds"]))
        return "later"

    @app.route("/elsewhere")
    def trap() -> Any:
        return elsewhere(origin)

    yield app
    sessions.tenure(app).close()


@contextmanager
def django_app(folder: Path, clock: Clock, origin: str) -> Iterator[Any]:
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.test import override_settings
    from django.urls import include, path
    from django.views.decorators.csrf import csrf_exempt

    from tenure.integrations.django import conf
    from tenure.integrations.django.views import answer_page, session_required
    from tests.integrations import django_stores  # noqa: F401 - sets up Django

    @csrf_exempt  # a form of a real site has Django's token in it
    def enter(request: Any) -> Any:
        if request.method == "GET":
            return HttpResponse(form(request.GET.get("next", "/")))
        return answer_page(conf.tenure().login("ada"), request, request.GET.get("next", "/"))

    @csrf_exempt
    @session_required(page=True)
    def page(request: Any) -> Any:
        who = request.tenure_session.subject
        said = changed_by(who) if request.method == "POST" else page_of(who, request.GET.get("q", ""))
        return HttpResponse(said)

    def later(request: Any) -> Any:
        clock.advance(int(request.GET["seconds"]))
        return HttpResponse("later")

    urls = types.ModuleType("pages_urls")
    urls.urlpatterns = [  # type: ignore[attr-defined]
        path("", include("tenure.integrations.django.urls")),
        path("enter", enter),
        path("page", page),
        path("cookies", lambda request: HttpResponse(names(request.COOKIES))),
        path("later", later),
        path("elsewhere", lambda _: HttpResponse(elsewhere(origin))),
    ]
    sys.modules["pages_urls"] = urls
    block: Mapping[str, Any] = {
        "SECRET": SECRET,
        "ISSUER": origin,
        "AUDIENCE": AUDIENCE,
        "STORE": f"sqlite:///{folder}/pages.db",
        "LOGIN_PAGE": LOGIN_PAGE,
    }
    account = types.SimpleNamespace(is_active=True, pk="ada")
    with (
        override_settings(TENURE=block, ROOT_URLCONF="pages_urls"),
        patch("tenure.integrations.django.accounts.user_of", lambda _: account),
    ):
        conf.reset()
        issuer = conf.tenure().issuer
        issuer._clock = issuer.checker._now = clock
        yield WSGIHandler()
        conf.reset()


APPS = {"fastapi": fastapi_app, "flask": flask_app, "django": django_app}
