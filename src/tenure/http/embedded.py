"""The endpoints inside somebody's own application: what the adapter of every framework begins with."""

from collections.abc import Mapping

from tenure.access import Claims
from tenure.errors import InsufficientScope
from tenure.http.cookies import CookieTransport, origin_of
from tenure.http.routes import ROUTES
from tenure.http.service import Authenticator, Endpoint, Service, Throttle
from tenure.issuer import Issuer

Table = Mapping[str, Mapping[str, Endpoint]]

_OWN = ("/auth/", "/.well-known/")
_LOGIN = "/auth/login"


def embedded(
    issuer: Issuer,
    *,
    authenticator: Authenticator | None,
    throttle: Throttle | None,
    cookies: CookieTransport | None = None,
    login_page: str | None = None,
) -> Service:
    """The service inside an application. The throttle is that of `tenure serve`, the cookie for the issuer's origin,
    where nothing else is given."""
    cookies = cookies or CookieTransport(origin_of(issuer.url))
    return Service(issuer, authenticator or _Nobody(), throttle or _limits(), cookies, login_page=login_page)


def own_endpoints(*, login: bool) -> Table:
    """The endpoints for the application's own people; without /auth/login where the application has its own."""
    own = {path: endpoints for path, endpoints in ROUTES.items() if path.startswith(_OWN)}
    return {path: endpoints for path, endpoints in own.items() if login or path != _LOGIN}


def check_granted(claims: Claims, scopes: str = "", role: str | None = None, claim: str = "roles") -> None:
    """Raise InsufficientScope where `claims` lack one of the scopes, or the role in the list that `claim` is."""
    missing = set(scopes.split()) - set(claims.scope.split())
    if missing:
        raise InsufficientScope(f"The access token lacks the scope {' '.join(sorted(missing))}.")
    roles = claims.get(claim, [])
    if role is not None and not (isinstance(roles, list) and role in roles):
        raise InsufficientScope(f"The role {role} is needed here.")


class _Nobody:
    """The authenticator of an application that has its own login."""

    def authenticate(self, username: str, password: str) -> str | None:  # noqa: ARG002 - knows nobody
        return None


def _limits() -> Throttle:
    from tenure.server.rate_limits import RateLimits

    return RateLimits()
