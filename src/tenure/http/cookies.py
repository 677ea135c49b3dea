"""The browser's transport: the refresh token only ever in a cookie that no script can read.

`__Secure-`, HttpOnly, Secure, SameSite=Strict, and a Path that keeps it away from every other request (RFC 6265bis).
Browsers are also asked where a request comes from: a cookie that rides along on a request from another origin is no
proof of anybody's wish.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tenure.errors import ConfigurationError, InvalidRequest
from tenure.http.messages import Request
from tenure.origins import is_loopback

COOKIE_PATH = "/auth"
MARK_SECONDS = 10


class ForeignOrigin(InvalidRequest):
    """A browser made this request for a page of another origin."""

    message = "This request comes from another origin, which is not allowed to use the cookie."


@dataclass(frozen=True, slots=True)
class CookieTransport:
    """How the refresh token's cookie is set and when it is believed.

    prefix: what the cookie's name begins with. origin: the service's own (scheme, host, port). allowed_origins: other
    origins whose pages may use the cookie. Over plain http, which only this machine itself may use, `__Secure-` and
    Secure are left out. Raises ConfigurationError where the origin is plain http and not this machine.
    """

    origin: str
    prefix: str = "tenure"
    allowed_origins: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        parts = urlsplit(self.origin)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ConfigurationError(
                f"Cookies need https, but the issuer is {self.origin}. Give the https address at which people reach "
                "this service as the issuer, or switch cookies off (--no-cookies)."
            )

    @property
    def secure(self) -> bool:
        """Whether the cookie is for https only."""
        return self.origin.startswith("https://")

    @property
    def name(self) -> str:
        """The cookie's name."""
        return f"{'__Secure-' if self.secure else ''}{self.prefix}-refresh"

    def set(self, refresh_token: str, max_age: int) -> tuple[str, str]:
        """The header that hands `refresh_token` to the browser, for `max_age` seconds."""
        secure = "; Secure" if self.secure else ""
        return (
            "set-cookie",
            f"{self.name}={refresh_token}; Path={COOKIE_PATH}; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}",
        )

    def clear(self) -> tuple[str, str]:
        """The header that makes the browser forget the cookie."""
        return self.set("", 0)

    @property
    def access_name(self) -> str:
        """The name of the access token's cookie, for pages that carry no JavaScript."""
        return f"{'__Host-' if self.secure else ''}{self.prefix}-access"

    @property
    def _mark_name(self) -> str:
        return f"{'__Host-' if self.secure else ''}{self.prefix}-bounced"

    def set_access(self, access_token: str, max_age: int) -> tuple[str, str]:
        """The header that hands an access token to a browser whose pages carry no JavaScript. SameSite=Lax, so that a
        link on another site leads to a page that knows its reader."""
        return self._everywhere(self.access_name, access_token, max_age)

    def mark(self, expires_in: int) -> tuple[str, str]:
        """The header that lets a navigation show that it comes back from /auth/continue; not for longer than its access
        token lives, `expires_in` seconds."""
        return self._everywhere(self._mark_name, "1", min(MARK_SECONDS, expires_in))

    def unmark(self) -> tuple[str, str]:
        """The header that takes the mark back."""
        return self._everywhere(self._mark_name, "", 0)

    def was_bounced(self, request: Request) -> bool:
        """Whether this navigation comes back from /auth/continue."""
        return bool(_cookies(request.headers).get(self._mark_name))

    def read_access(self, request: Request) -> str | None:
        """The access token that came in its cookie, or None."""
        return _cookies(request.headers).get(self.access_name) or None

    def refresh_token(self, request: Request) -> str | None:
        """The refresh token that came in the cookie of a navigation, or None: who asks must know that it is one."""
        return _cookies(request.headers).get(self.name) or None

    def _everywhere(self, name: str, value: str, max_age: int) -> tuple[str, str]:
        secure = "; Secure" if self.secure else ""
        return "set-cookie", f"{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}"

    def read(self, request: Request) -> str | None:
        """The refresh token that came in the cookie, or None. Raises ForeignOrigin."""
        token = _cookies(request.headers).get(self.name)
        if token:
            self.check_origin(request)
        return token or None

    def check_origin(self, request: Request) -> None:
        """Raise ForeignOrigin for a browser's request from a page of another origin.

        Browsers that send Sec-Fetch-Site know best; the others send Origin with every request that changes something.
        A client that sends neither is no browser, and nobody can make it send a cookie that it was not given.
        """
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site == "same-origin" or (origin is None and site in ("none", None)):
            return
        if origin != self.origin and origin not in self.allowed_origins:
            raise ForeignOrigin


def origin_of(url: str) -> str:
    """The origin (scheme, host and port) of a URL, as browsers spell it (RFC 6454 section 6.2)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    default = {"https": 443, "http": 80}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _cookies(headers: Mapping[str, str]) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs}
