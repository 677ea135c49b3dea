"""The endpoints inside an application: what the adapters of all frameworks share."""

import inspect
import logging
from collections.abc import Callable
from typing import cast

from tenure.core.access import Claims
from tenure.core.errors import ConfigurationError, InsufficientScope
from tenure.core.inputs import check_methods, check_setting
from tenure.core.issuer import Issuer
from tenure.core.origins import check_path, origin_of, other_sites
from tenure.http.cookies import CookieTransport
from tenure.http.devices_page import DevicesPage
from tenure.http.routes import ROUTES, Table, below
from tenure.http.service import PREFIX, Authenticator, PasswordCheck, Service, Throttle

_OWN = ("/auth/", "/.well-known/")
_WITH_PASSWORDS = ("/auth/login", "/auth/step-up")

_log = logging.getLogger("tenure")


def embedded(
    issuer: Issuer,
    *,
    authenticator: Authenticator | PasswordCheck | None,
    throttle: Throttle | None,
    cookies: CookieTransport | None = None,
    login_page: str | None = None,
    prefix: str = PREFIX,
    devices: DevicesPage | None = None,
) -> Service:
    """The service inside an application. By default the throttle is that of `tenure serve`, and the cookie is for the
    issuer's origin."""
    cookies = CookieTransport(origin_of(issuer.url)) if cookies is None else cookies
    check_setting("cookies", cookies, CookieTransport, "a CookieTransport")
    check_setting("login_page", "" if login_page is None else login_page, str, "a path of this site")
    devices = DevicesPage() if devices is None else devices
    check_setting("devices", devices, DevicesPage, "a DevicesPage")
    check_methods("throttle", throttle, "sign_in", "signed_in", "refresh", "refresh_refused")
    warn_of_other_sites(cookies)
    return Service(
        issuer,
        _Nobody() if authenticator is None else authenticator_of(authenticator),
        _limits() if throttle is None else throttle,
        cookies,
        login_page=login_page,
        prefix=prefix,
        devices=devices,
    )


def authenticator_of(given: Authenticator | PasswordCheck) -> Authenticator:
    """An authenticator from an object, or from a function of a name and a password. Raises ConfigurationError for
    others."""
    if callable(getattr(given, "authenticate", None)) and not isinstance(given, type):
        return cast(Authenticator, given)
    if callable(given) and not isinstance(given, type) and _takes_two(given):
        return _Checking(given)
    raise ConfigurationError(
        f"The authenticator ({type(given).__name__}) has no method authenticate(username, password), and is no "
        "function of these two. It answers the person's subject, or None."
    )


def _takes_two(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind("username", "password")
    except TypeError:
        return False
    except ValueError:  # a built-in function without a signature
        return True
    return True


def warn_of_other_sites(cookies: CookieTransport) -> None:
    """Warn at the start of allowed origins whose pages can log in, but can't stay logged in by a cookie."""
    for origin in other_sites(cookies.origin, cookies.allowed_origins):
        _log.warning("%s", OTHER_SITE.format(page=origin, api=cookies.origin))


OTHER_SITE = (
    "{page} is another site than {api}: browsers never send its pages a SameSite=Strict cookie, so people there are "
    "logged out when the first access token expires. Serve both below one domain, or let the pages' own host pass "
    "/auth on to this service. See docs/addresses.md."
)


def own_endpoints(*, login: bool, prefix: str = PREFIX) -> Table:
    """The endpoints for the application's users; without those that take a password if the application has its own."""
    check_path("The endpoints' prefix", prefix)
    own = {path: endpoints for path, endpoints in ROUTES.items() if path.startswith(_OWN)}
    return below(prefix, {path: endpoints for path, endpoints in own.items() if login or path not in _WITH_PASSWORDS})


def check_granted(claims: Claims, scopes: str = "", role: str | None = None, claim: str = "roles") -> None:
    """Raise InsufficientScope if the claims lack one of the scopes, or the role in the list under `claim`."""
    missing = set(scopes.split()) - set(claims.scope.split())
    if missing:
        raise InsufficientScope(f"The access token lacks the scope {' '.join(sorted(missing))}.")
    roles = claims.get(claim, [])
    if role is not None and not (isinstance(roles, list) and role in roles):
        raise InsufficientScope(f"The role {role} is needed here.")


class _Checking:
    """A function as an authenticator."""

    def __init__(self, check: PasswordCheck) -> None:
        self.authenticate = check


class _Nobody:
    """The authenticator of an application that has its own login."""

    def authenticate(self, username: str, password: str) -> str | None:  # noqa: ARG002 - knows nobody
        return None


def _limits() -> Throttle:
    from tenure.http.rate_limits import RateLimits

    return RateLimits()
