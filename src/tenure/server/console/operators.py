"""Who may use the console: whoever has shown an API key, or whoever the operator's own proxy names.

An API key is exchanged for a cookie that lasts half a day, or until the key is removed. Requests must be for the
console's own host (a page that rebinds its name to this machine is refused), and forms from its own pages.
"""

import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from tenure.core.effects import Flow
from tenure.core.errors import ConfigurationError, InvalidClient, TenureError
from tenure.core.origins import is_loopback, origin_of
from tenure.http.clients import hash_of, list_api_keys
from tenure.http.messages import Request, RequestError

LOGIN_SECONDS = 12 * 3600
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class NobodyLoggedIn(TenureError):
    """The operator is to show an API key first."""


class WrongHost(RequestError):
    """The request is not for the console, or not from it."""

    status = 403


class Operators:
    """Those who are logged in. origin: where operators reach the console. header: the header in which the operator's
    own proxy names them; there are then no API keys. Raises ConfigurationError."""

    def __init__(self, origin: str, header: str | None, now: Callable[[], float]) -> None:
        self._origin = origin_of(origin)
        parts = urlsplit(self._origin)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ConfigurationError(
                "The console is plain http for this machine alone. Put your own proxy before it, with https, and give "
                "its address as console_origin."
            )
        self._header = None if header is None else header.lower()
        self._now = now
        self._logins: dict[str, tuple[str, float]] = {}
        self._secure = self._origin.startswith("https://")
        self._cookie = "__Host-tenure-console" if self._secure else "tenure-console"

    def check(self, request: Request) -> None:
        """Raise WrongHost for a request that a page elsewhere has made."""
        own, host = urlsplit(self._origin), request.headers.get("host", "")
        names = [f"{name}:{own.port}" for name in _LOOPBACK] if is_loopback(own.hostname or "") else []
        if host not in (own.netloc, *names):
            raise WrongHost(f"The console is at {self._origin}; set console_origin if that is wrong.")
        origin = request.headers.get("origin")
        if request.method not in ("GET", "HEAD") and origin not in (self._origin, f"http://{host}"):
            raise WrongHost("This form comes from elsewhere.")

    def who(self, request: Request) -> Flow[str]:
        """The operator's name. Raises NobodyLoggedIn, and InvalidClient if the proxy names nobody."""
        if self._header is not None:
            name = request.headers.get(self._header, "")
            if not name:
                raise InvalidClient(f"The proxy before the console names nobody in {self._header}.")
            return name[:100]
        login = self._logins.get(_cookie_of(request, self._cookie))
        if login is None or login[1] < self._now():
            raise NobodyLoggedIn
        key_hash, _ = login
        names = yield from list_api_keys()
        if key_hash not in names:
            raise NobodyLoggedIn
        return names[key_hash]

    def log_in(self, api_key: str) -> Flow[str]:
        """The cookie for whoever shows this API key. Raises InvalidClient."""
        key_hash = hash_of(api_key.strip())
        if key_hash not in (yield from list_api_keys()):
            raise InvalidClient("There is no such API key. Make one: tenure api-keys add NAME.")
        now = self._now()
        self._logins = {token: login for token, login in self._logins.items() if login[1] >= now}
        token = secrets.token_urlsafe(32)
        self._logins[token] = key_hash, now + LOGIN_SECONDS
        return self._set(token, LOGIN_SECONDS)

    def log_out(self, request: Request) -> str:
        """The cookie of nobody."""
        self._logins.pop(_cookie_of(request, self._cookie), None)
        return self._set("", 0)

    def _set(self, value: str, max_age: int) -> str:
        secure = "; Secure" if self._secure else ""
        return f"{self._cookie}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}"


def _cookie_of(request: Request, name: str) -> str:
    parts = (part.strip().partition("=") for part in request.headers.get("cookie", "").split(";"))
    return next((value for other, _, value in parts if other == name), "")
