"""The console's pages, as endpoints: the overview, a person, keys and clients."""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader

from tenure.core import existing, overview
from tenure.core.binding import bound_to
from tenure.core.effects import Flow
from tenure.core.errors import ConfigurationError, TenureError
from tenure.core.issuer import Issuer
from tenure.core.session import Session, Which
from tenure.driving.upkeep import load_ring, rotate_ring
from tenure.http import clients as registry
from tenure.http.device_names import device_name
from tenure.http.devices import THEFTS
from tenure.http.devices_page import utc
from tenure.http.messages import HTML_TYPE, Request, RequestError, Response, form, optional_text, query, text
from tenure.http.service import Endpoint, Service, error_response
from tenure.http.texts import Words
from tenure.server.console.channel import Channel
from tenure.server.console.history import Day, Observed
from tenure.server.console.operators import NobodyLoggedIn, Operators

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_LATEST = 25
_TRAIL = 100
_LONG = 255

Fields = dict[str, str]


class ReadOnly(RequestError):
    """The console changes nothing here."""

    status = 403
    message = "This console is read-only (console_read_only)."


class Console:
    """The pages, and what they show."""

    def __init__(
        self, operators: Operators, channel: Channel, day: Day, observed: Observed, *, read_only: bool
    ) -> None:
        self.operators, self.channel, self.day, self.observed = operators, channel, day, observed
        self._read_only = read_only

    def table(self) -> dict[str, dict[str, Endpoint]]:
        """The endpoints, by path and method."""
        changes = {
            "/end": self._end,
            "/end-all": self._end_all,
            "/keys/rotate": self._rotate,
            "/clients/add": self._add_client,
            "/clients/remove": self._remove_client,
            "/api-keys/add": self._add_api_key,
            "/api-keys/remove": self._remove_api_key,
        }
        return {
            "/": {"GET": self._page(self._overview)},
            "/person": {"GET": self._page(self._person)},
            "/keys": {"GET": self._page(lambda service, _: _keys_page(service.issuer))},
            "/login": {"GET": self._guarded(_login_page), "POST": self._guarded(self._log_in)},
            "/logout": {"POST": self._guarded(self._log_out)},
            "/console.css": {"GET": _file("console.css", "text/css; charset=utf-8")},
            "/console.js": {"GET": _file("console.js", "text/javascript; charset=utf-8")},
            **{path: {"POST": self._change(change)} for path, change in changes.items()},
        }

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint of the console's own host, whose errors are pages."""

        def guarded(service: Service, request: Request) -> Flow[Response]:
            try:
                self.operators.check(request)
                answered = endpoint(service, request)
                return answered if isinstance(answered, Response) else (yield from answered)
            except NobodyLoggedIn:
                return redirect("/login")
            except TenureError as problem:
                # What an operator types may be a configuration that can't work.
                status = 400 if isinstance(problem, ConfigurationError) else error_response(problem).status
                return page("error.html", {"problem": str(problem)}, status)

        return guarded

    def _page(self, view: Callable[[Service, Request], Flow[tuple[str, dict[str, Any]]]]) -> Endpoint:
        def shown(service: Service, request: Request) -> Flow[Response]:
            name = yield from self.operators.who(request)
            template, content = yield from view(service, request)
            return page(template, {"operator": name, "read_only": self._read_only, **content})

        return self._guarded(shown)

    def _change(self, change: Callable[[Issuer, Fields, str], Flow[Response]]) -> Endpoint:
        def changed(service: Service, request: Request) -> Flow[Response]:
            name = yield from self.operators.who(request)
            if self._read_only:
                raise ReadOnly
            return (yield from change(service.issuer, form(request), f"console:{name}"))

        return self._guarded(changed)

    def _overview(self, service: Service, request: Request) -> Flow[tuple[str, dict[str, Any]]]:
        cursor = query(request).get("cursor", "")
        found = yield from overview.overview(service.issuer, steps=overview.STEPS_AT_A_GLANCE)
        yield from self.day.count(service.issuer)
        self.observed.live(found.now, found.live)
        latest = yield from overview.latest(service.issuer, Which(), cursor=cursor, limit=_LATEST)
        return "overview.html", {
            "found": found,
            "sessions": [_described(one) for one in latest.sessions],
            "cursor": latest.cursor,
            "charts": [
                ("Live sessions, by the minute", self.observed.live_bars, ""),
                ("Refreshes, by the minute", self.observed.bars("refreshed"), ""),
                ("Logins, by the hour", self.day.bars("logged_in"), ""),
                ("Ends, by the hour", self.day.bars("revoked"), ""),
                ("Thefts, by the hour", self.day.bars("revoked", *THEFTS), "theft"),
            ],
            "reasons": [
                (reason, n, self.day.bars("revoked", reason)) for reason, n in self.day.reasons().most_common()
            ],
            "events": list(self.channel.latest)[:50],
        }

    def _person(self, service: Service, request: Request) -> Flow[tuple[str, dict[str, Any]]]:
        subject = text(query(request), "subject", longest=_LONG).strip()
        live = yield from existing.list_live(service.issuer, subject)
        trail = yield from existing.list_audit(service.issuer, subject, _TRAIL)
        sessions = [_described(one) for one in sorted(live, key=lambda one: -one.last_used_at)]
        entries = [{"name": _name(one.device), "entry": one} for one in trail]
        return "person.html", {"subject": subject, "sessions": sessions, "trail": entries}

    def _end(self, issuer: Issuer, fields: Fields, by: str) -> Flow[Response]:
        subject = text(fields, "subject", longest=_LONG)
        yield from existing.end_session(issuer, text(fields, "session", longest=32), reason="ended_by_admin", by=by)
        return redirect("/person", subject=subject)

    def _end_all(self, issuer: Issuer, fields: Fields, by: str) -> Flow[Response]:
        subject = text(fields, "subject", longest=_LONG)
        yield from existing.end_all(issuer, subject, except_id=None, reason="ended_by_admin", by=by)
        return redirect("/person", subject=subject)

    def _rotate(self, issuer: Issuer, fields: Fields, _: str) -> Flow[Response]:
        at_once = fields.get("at_once") == "on"
        if not at_once:
            yield from load_ring(issuer)
        yield from rotate_ring(issuer, at_once=at_once)
        return redirect("/keys")

    def _add_client(self, issuer: Issuer, fields: Fields, _: str) -> Flow[Response]:
        name = text(fields, "client_id", longest=100)
        lifetime = optional_text(fields, "lifetime", longest=50) or ""
        issuer.lifetime_named(lifetime)
        secret = yield from registry.add_client(
            name,
            issuer.random,
            public=fields.get("public") == "on",
            scope=optional_text(fields, "scope", longest=1000) or None,
            lifetime=lifetime,
        )
        return (yield from _with_secret(issuer, f"the client {name}", secret))

    def _remove_client(self, _issuer: Issuer, fields: Fields, _: str) -> Flow[Response]:
        yield from registry.remove_client(text(fields, "client_id", longest=100))
        return redirect("/keys")

    def _add_api_key(self, issuer: Issuer, fields: Fields, _: str) -> Flow[Response]:
        name = text(fields, "name", longest=100)
        key = yield from registry.add_api_key(name, issuer.random)
        return (yield from _with_secret(issuer, f"the API key {name}", key))

    def _remove_api_key(self, _issuer: Issuer, fields: Fields, _: str) -> Flow[Response]:
        yield from registry.remove_api_key(text(fields, "name", longest=100))
        return redirect("/keys")

    def _log_in(self, _: Service, request: Request) -> Flow[Response]:
        cookie = yield from self.operators.log_in(text(form(request), "api_key", longest=200))
        return redirect("/", headers=[("set-cookie", cookie)])

    def _log_out(self, _: Service, request: Request) -> Response:
        return redirect("/login", headers=[("set-cookie", self.operators.log_out(request))])


def page(template: str, view: dict[str, Any], status: int = 200) -> Response:
    """The page that a template makes of a view."""
    html = _templates().get_template(template).render(**view)
    base = [("content-type", HTML_TYPE), ("cache-control", "no-store"), ("content-security-policy", _POLICY)]
    return Response(status, base, html.encode())


def redirect(path: str, headers: Sequence[tuple[str, str]] = (), **parameters: str) -> Response:
    """On to another page of the console (303)."""
    location = f"{path}?{urlencode(parameters)}" if parameters else path
    return Response(303, [("location", location), ("cache-control", "no-store"), *headers])


def _login_page(_service: Service, _: Request) -> Response:
    return page("login.html", {})


def _keys_page(issuer: Issuer) -> Flow[tuple[str, dict[str, Any]]]:
    yield from load_ring(issuer)
    keys = [{"key": key, "state": state} for key, state in issuer.ring.states(issuer.now())]
    clients = yield from registry.list_clients()
    names = sorted((yield from registry.list_api_keys()).values())
    lifetimes = sorted(issuer.policy.lifetimes)
    return "keys.html", {"keys": keys, "clients": clients, "api_keys": names, "lifetimes": lifetimes}


def _with_secret(issuer: Issuer, what: str, secret: str | None) -> Flow[Response]:
    """The page of keys, with a secret that is shown this once."""
    template, content = yield from _keys_page(issuer)
    return page(template, {**content, "read_only": False, "made": what, "secret": secret})


def _described(session: Session) -> dict[str, Any]:
    return {"session": session, "name": _name(session.device), "bound": bound_to(session.binding)}


def _name(device: str) -> str:
    return Words("en", {}).device(*device_name(device))


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("tenure.server.console"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["utc"] = utc
    return environment


def _file(name: str, content_type: str) -> Endpoint:
    content = (resources.files(__package__) / "templates" / name).read_bytes()
    headers = [("content-type", content_type), ("cache-control", "no-cache")]
    return lambda _service, _request: Response(200, headers, content)
