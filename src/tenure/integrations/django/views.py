"""The endpoints as Django views, and the session for the project's own views.

The endpoints run outside the request's transaction, despite ATOMIC_REQUESTS, and without Django's CSRF check: the
cookie is SameSite=Strict, and the request's origin is checked.
"""

import functools
from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.urls import NoReverseMatch, reverse

from tenure.core import step_up
from tenure.core.access import Claims
from tenure.core.errors import TenureError
from tenure.core.issuer import TokenPair
from tenure.core.step_up import Requirement, check_needs
from tenure.http.auth import login_response
from tenure.http.cookies import Cookies
from tenure.http.messages import MAX_BODY_BYTES, BodyTooLarge, Request, Response
from tenure.http.pages import login_page_answer, page_session
from tenure.http.presented import end_replaced
from tenure.http.service import Endpoint, answer, caller, endpoint_for, error_response
from tenure.integrations.django.conf import service, tenure
from tenure.integrations.embedded import check_granted


class Endpoints:
    """All endpoints of one path, as a view."""

    csrf_exempt = True

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints
        transaction.non_atomic_requests(self)  # a rotation is committed even if the request fails

    def __call__(self, request: HttpRequest, **path_parameters: str) -> HttpResponse:
        """Run the endpoint."""
        try:
            endpoint = endpoint_for(self._endpoints, str(request.method))
            asked = request_of(request, _body(request), path_parameters)
        except TenureError as problem:
            return django_response(error_response(problem))
        return django_response(tenure().run(answer(endpoint, service(), asked)))


def session_required(
    view: Callable[..., Any] | None = None,
    *,
    scope: str = "",
    role: str | None = None,
    page: bool = False,
    needs: Requirement | None = None,
) -> Any:
    """Decorate a view, blocking or async, to require a valid access token, with all of these scopes, and with `role` in
    its claim `roles`. Other requests get 401 or 403. `request.tenure_session` has the token's claims. page: for pages
    without JavaScript. The token may then be in its cookie, and a navigation with an expired token is redirected
    through /auth/continue and back. needs: how the user has to be authenticated (RFC 9470); `recent` and `acr` are
    shorter."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def checked(request: HttpRequest) -> HttpResponse | None:
            try:
                claims = page_session(service(), request_of(request)) if page else session_of(request)
                check_granted(claims, scope, role)
                check_needs(needs, claims, tenure().issuer.now())
            except TenureError as problem:
                return django_response(error_response(problem))
            request.tenure_session = claims
            return None

        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def async_guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                return checked(request) or await function(request, *args, **kwargs)

            return async_guarded

        @functools.wraps(function)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return checked(request) or function(request, *args, **kwargs)

        return guarded

    return decorate if view is None else decorate(view)


def recent(*, minutes: float = 0.0, seconds: float = 0.0) -> Any:
    """Decorate a view to require that the user was authenticated within this time; 401 otherwise (RFC 9470)."""
    return session_required(needs=step_up.recent(minutes=minutes, seconds=seconds))


def acr(*values: str) -> Any:
    """Decorate a view to require that the authentication was of one of these classes; 401 otherwise (RFC 9470)."""
    return session_required(needs=step_up.acr(*values))


def session_of(request: HttpRequest) -> Claims:
    """The claims of the request's access token. Raises InvalidAccessToken."""
    return caller(service(), request_of(request))


def answer_pair(pair: TokenPair, request: HttpRequest, *, cookie: bool = True) -> HttpResponse:
    """The response of the project's own login: the refresh token in its cookie, or in the body.

    A session whose cookie is replaced ends.
    """
    cookies = service().cookies_of(request_of(request)) if cookie else None
    return _ending_replaced(login_response(service(), pair, cookies), pair, cookies)


def answer_page(pair: TokenPair, request: HttpRequest, to: str = "/") -> HttpResponse:
    """The response of a login by a form: both tokens in cookies, and a redirect to a path of this site.

    A session whose cookie is replaced ends.
    """
    asked = request_of(request)
    return _ending_replaced(login_page_answer(service(), asked, pair, to), pair, service().cookies_of(asked))


def _ending_replaced(response: Response, pair: TokenPair, cookies: Cookies | None) -> HttpResponse:
    if cookies is not None:
        tenure().run(end_replaced(tenure().issuer, cookies, pair.session_id))
    return django_response(response)


def request_of(request: HttpRequest, body: bytes = b"", path_parameters: Mapping[str, str] | None = None) -> Request:
    """Convert Django's request."""
    return Request(
        method=str(request.method),
        path=request.path_info,
        root=request.path.removesuffix(request.path_info),
        endpoints=_endpoints_base(),
        query=request.META.get("QUERY_STRING", ""),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        address=request.META.get("REMOTE_ADDR", ""),
        path_parameters=path_parameters or {},
    )


def _endpoints_base() -> str | None:
    """The path of the endpoints in the URLconf, as browsers see it; None if they are not there."""
    prefix = service().prefix
    try:
        return str(reverse(f"tenure:{prefix}/me")).removesuffix("/me")
    except NoReverseMatch:
        return None


def django_response(response: Response) -> HttpResponse:
    """Convert a response to Django's."""
    answered = HttpResponse(response.body, status=response.status)
    del answered["content-type"]
    for name, value in response.headers:
        if name == "set-cookie":
            _set_cookie(answered, value)
        else:
            answered[name] = value
    return answered


def _set_cookie(answered: HttpResponse, header: str) -> None:
    """Set a cookie. Django keeps one cookie for each name, but a cookie that is also cleared under other paths needs
    several headers."""
    name = header.partition("=")[0]
    if name in answered.cookies:
        # Under a unique key, as the header is made from the morsel, not from the key.
        kept = answered.cookies.pop(name)
        dict.__setitem__(answered.cookies, f"{name} {len(answered.cookies)}", kept)
    answered.cookies.load(header)


def _body(request: HttpRequest) -> bytes:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY_BYTES:
        raise BodyTooLarge
    try:
        body = request.read(MAX_BODY_BYTES + 1)
    except (RequestDataTooBig, UnreadablePostError):
        raise BodyTooLarge from None
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge
    return bytes(body)
