"""For Flask applications: an extension with the endpoints, a decorator, and `current_session`.

sessions = Sessions(authenticator=people)
sessions.init_app(app)  # TENURE_STORE, TENURE_SECRET, TENURE_ISSUER and TENURE_AUDIENCE are in app.config

@app.get("/notes")
@session_required
def notes(): return current_session.subject
"""

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

import flask
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.local import LocalProxy

from tenure.core import step_up
from tenure.core.access import Claims
from tenure.core.errors import ConfigurationError, TenureError
from tenure.core.inputs import check_setting
from tenure.core.issuer import Issuer, TokenPair
from tenure.core.step_up import Requirement, check_needs
from tenure.http.auth import login_response
from tenure.http.cookies import Cookies, CookieTransport
from tenure.http.devices_page import DevicesPage
from tenure.http.messages import MAX_BODY_BYTES, BodyTooLarge, Request, Response
from tenure.http.pages import login_page_answer, page_session
from tenure.http.presented import end_replaced
from tenure.http.service import (
    PREFIX,
    Authenticator,
    Endpoint,
    PasswordCheck,
    Service,
    Throttle,
    answer,
    caller,
    endpoint_for,
    error_response,
)
from tenure.integrations.embedded import check_granted, embedded, own_endpoints
from tenure.sessions import Tenure

P = ParamSpec("P")
T = TypeVar("T")

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SETTINGS = ("STORE", "SECRET", "ISSUER", "AUDIENCE")


class Sessions:
    """The sessions of one or several applications.

    authenticator: checks names and passwords for /auth/login; without one, the application has its own login and
    responds with `answer`. throttle: the rate limits; by default those of `tenure serve`. login_page: where a
    navigation without a session is redirected, for pages without JavaScript. settings: further arguments of Tenure
    (policy, claims, fallbacks, on_event, …). cookies: how the refresh token's cookie is set; by default for the
    issuer's own origin. prefix: replaces /auth in the endpoints' paths. devices: what to
    change of the page /auth/devices.
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        authenticator: Authenticator | PasswordCheck | None = None,
        throttle: Throttle | None = None,
        cookies: CookieTransport | None = None,
        login_page: str | None = None,
        prefix: str = PREFIX,
        devices: DevicesPage | None = None,
        **settings: Any,
    ) -> None:
        self._serve = functools.partial(
            embedded,
            authenticator=authenticator,
            throttle=throttle,
            cookies=cookies,
            login_page=login_page,
            prefix=prefix,
            devices=devices,
        )
        self._table = own_endpoints(login=authenticator is not None, prefix=prefix)
        self._settings = settings
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Serve the endpoints below /auth. Raises ConfigurationError if a setting is missing."""
        check_setting("app", app, flask.Flask, "a Flask application")
        missing = [f"TENURE_{name}" for name in _SETTINGS if not app.config.get(f"TENURE_{name}")]
        if missing:
            raise ConfigurationError(f"app.config lacks {', '.join(missing)}.")
        app.extensions["tenure"] = _Extension(
            functools.partial(self._open, {name.lower(): app.config[f"TENURE_{name}"] for name in _SETTINGS}),
            self._serve,
        )
        blueprint = flask.Blueprint("tenure", __name__)
        for path, endpoints in self._table.items():
            rule, name = path.replace("{", "<").replace("}", ">"), path.replace(".", "-")
            view = functools.partial(_serve, endpoints)
            blueprint.add_url_rule(rule, name, view, methods=_METHODS, provide_automatic_options=False)
        blueprint.app_errorhandler(TenureError)(_refused)
        app.register_blueprint(blueprint)

    def tenure(self, app: flask.Flask | None = None) -> Tenure:
        """The Tenure of an application (by default the current one), made at first use."""
        return _of(app).tenure

    def answer(self, pair: TokenPair, *, cookie: bool = True) -> flask.Response:
        """The response of the application's own login: the refresh token in its cookie, or in the body.

        A session whose cookie is replaced ends.
        """
        service = _of().service
        cookies = service.cookies_of(_request(b"")) if cookie else None
        return self._ending_replaced(login_response(service, pair, cookies), pair, cookies)

    def answer_page(self, pair: TokenPair, to: str = "/") -> flask.Response:
        """The response of a login by a form: both tokens in cookies, and a redirect to a path of this site.

        A session whose cookie is replaced ends.
        """
        service, asked = _of().service, _request(b"")
        return self._ending_replaced(login_page_answer(service, asked, pair, to), pair, service.cookies_of(asked))

    def _ending_replaced(self, response: Response, pair: TokenPair, cookies: Cookies | None) -> flask.Response:
        if cookies is not None:
            tenure = _of().tenure
            tenure.run(end_replaced(tenure.issuer, cookies, pair.session_id))
        return _flask(response)

    def _open(self, settings: Mapping[str, Any]) -> Tenure:
        return Tenure(**settings, **self._settings)


class _Extension:
    """The parts of one application, opened at first use."""

    def __init__(self, open_tenure: Callable[[], Tenure], serve: Callable[[Issuer], Service]) -> None:
        self._open = open_tenure
        self._serve = serve
        self._opening = threading.Lock()
        self._opened: tuple[Tenure, Service] | None = None

    @property
    def tenure(self) -> Tenure:
        return self._parts()[0]

    @property
    def service(self) -> Service:
        return self._parts()[1]

    def _parts(self) -> tuple[Tenure, Service]:
        with self._opening:
            if self._opened is None:
                tenure = self._open()
                self._opened = tenure, self._serve(tenure.issuer)
            return self._opened


def session_required(
    view: Callable[P, T] | None = None,
    *,
    scope: str = "",
    role: str | None = None,
    claim: str = "roles",
    page: bool = False,
    needs: Requirement | None = None,
) -> Any:
    """Decorate a view to require a valid access token, with all of these scopes, and with `role` in the list under
    `claim`.

    Other requests get 401 or 403 (RFC 6750 section 3.1). page: for pages without JavaScript. The token may then be in
    its cookie, and a navigation with an expired token is redirected through /auth/continue and back. needs: how the
    user has to be authenticated (RFC 9470); `recent` and `acr` are shorter.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            if page:
                flask.g.tenure_session = page_session(_of().service, _request(b""))
            check_granted(_current(), scope, role, claim)
            check_needs(needs, _current(), _of().tenure.issuer.now())
            return function(*args, **kwargs)

        return guarded

    return decorate if view is None else decorate(view)


def recent(*, minutes: float = 0.0, seconds: float = 0.0) -> Any:
    """Decorate a view to require that the user was authenticated within this time; 401 otherwise (RFC 9470)."""
    return session_required(needs=step_up.recent(minutes=minutes, seconds=seconds))


def acr(*values: str) -> Any:
    """Decorate a view to require that the authentication was of one of these classes; 401 otherwise (RFC 9470)."""
    return session_required(needs=step_up.acr(*values))


def _current() -> Claims:
    if "tenure_session" not in flask.g:
        flask.g.tenure_session = caller(_of().service, _request(b""))
    return cast(Claims, flask.g.tenure_session)


current_session: Claims = LocalProxy(_current)  # type: ignore[assignment]  # what it stands for
"""What the current request's access token says. Raises InvalidAccessToken where it has none that is valid."""


def _serve(endpoints: Mapping[str, Endpoint], **path_parameters: str) -> flask.Response:
    extension = _of()
    endpoint = endpoint_for(endpoints, flask.request.method)
    flask.request.max_content_length = MAX_BODY_BYTES
    try:
        body = flask.request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise BodyTooLarge from None
    request = _request(body, path_parameters)
    return _flask(extension.tenure.run(answer(endpoint, extension.service, request)))


def _request(body: bytes, path_parameters: Mapping[str, str] | None = None) -> Request:
    asked = flask.request
    return Request(
        method=asked.method,
        path=asked.path,
        root=asked.root_path.rstrip("/"),
        query=asked.query_string.decode("latin-1"),
        headers={name.lower(): value for name, value in asked.headers.items()},
        body=body,
        address=asked.remote_addr or "",
        path_parameters=path_parameters or {},
    )


def _of(app: flask.Flask | None = None) -> _Extension:
    return cast(_Extension, (app or flask.current_app).extensions["tenure"])


def _refused(problem: TenureError) -> flask.Response:
    return _flask(error_response(problem))


def _flask(response: Response) -> flask.Response:
    answered = flask.Response(response.body, response.status)
    answered.headers.clear()
    answered.headers.extend(response.headers)
    return answered
