"""The browser transport: the refresh token only in a cookie that no script can read.

`__Secure-`, HttpOnly, Secure, SameSite=Strict, and a Path that keeps it away from every other request (RFC 6265bis).
The request's origin is checked as well: a cookie sent along with a request from another origin does not show the user's
intent.

A cookie with a path can't be `__Host-`, so a neighbouring subdomain could set one of the same name (Domain=example.com)
and log users in as somebody else. A companion ties it to this host: a `__Host-` cookie that names the session whose
refresh token was issued here. `presented.py` decides which of several cookies with one name is ours.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tenure.core.errors import ConfigurationError, InvalidRequest
from tenure.core.inputs import check_setting
from tenure.core.origins import allowed_origin, check_path, is_loopback
from tenure.http.marks import companion_of, session_of
from tenure.http.messages import Request

MARK_SECONDS = 10
_NAME = re.compile(r"[A-Za-z0-9_-]{1,50}")
DEVICE_SECONDS = 400 * 86400  # the longest that browsers keep a cookie

Header = tuple[str, str]


class ForeignOrigin(InvalidRequest):
    """A browser sent this request for a page of another origin."""

    message = "This request comes from another origin, which is not allowed to use the cookie."


@dataclass(frozen=True, slots=True)
class CookieTransport:
    """How the refresh token's cookie is set and checked.

    prefix: what the cookies' names begin with. origin: the service's own (scheme, host, port). allowed_origins: other
    origins whose pages may use the cookie. path: the cookie's path, as the browser sees it; by default it is derived
    from each request. Over plain http, which only loopback may use, `__Secure-` and Secure are left out. Raises
    ConfigurationError for plain http to another machine, and for invalid origins and paths.
    """

    origin: str
    prefix: str = "tenure"
    allowed_origins: frozenset[str] = frozenset()
    path: str | None = None

    def __post_init__(self) -> None:
        check_setting("The cookies' origin", self.origin, str, "text")
        if not isinstance(self.prefix, str) or not _NAME.fullmatch(self.prefix):
            raise ConfigurationError("The cookies' prefix is 1 to 50 letters, digits, _ and - of ASCII.")
        check_setting("allowed_origins", self.allowed_origins, (set, frozenset, list, tuple), "a set of origins")
        parts = urlsplit(self.origin)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ConfigurationError(
                f"Cookies need https, but the issuer is {self.origin}. Give the https address at which people reach "
                "this service as the issuer, or switch cookies off (--no-cookies)."
            )
        object.__setattr__(self, "allowed_origins", frozenset(map(allowed_origin, self.allowed_origins)))
        if self.path is not None:
            check_path("The cookie's path", self.path)

    @property
    def secure(self) -> bool:
        """Whether the cookies are for https only."""
        return self.origin.startswith("https://")

    @property
    def name(self) -> str:
        """The name of the refresh token's cookie."""
        return self.path_name("refresh")

    def path_name(self, name: str) -> str:
        """The name of a cookie that goes to the endpoints only."""
        return f"{'__Secure-' if self.secure else ''}{self.prefix}-{name}"

    def host_name(self, name: str) -> str:
        """The name of a cookie for this whole host and no other."""
        return f"{'__Host-' if self.secure else ''}{self.prefix}-{name}"

    def check_origin(self, request: Request) -> None:
        """Raise ForeignOrigin for a browser's request from a page of another origin.

        Sec-Fetch-Site decides if the browser sends it; other browsers send Origin with every request that changes
        something. A client that sends neither is not a browser, so no page can make it send a cookie.
        """
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site == "same-origin" or (origin is None and site in ("none", None)):
            return
        if origin != self.origin and origin not in self.allowed_origins:
            raise ForeignOrigin


class Cookies:
    """The cookies of one request, and those that its response sets.

    path: the path of the refresh token's cookie. keys: check the signatures of companions; the first one signs.
    """

    def __init__(self, transport: CookieTransport, request: Request, path: str, keys: Sequence[bytes]) -> None:
        self.transport = transport
        self.request = request
        self.path = path
        self._keys = keys
        parts = (part.strip().partition("=") for part in request.headers.get("cookie", "").split(";"))
        self._values = [(name, value) for name, _, value in parts if value]

    def refresh_tokens(self) -> list[str]:
        """All values of the refresh token's cookie: more than one if somebody else has set one, too."""
        return self._all(self.transport.name)

    def own_session_ids(self) -> list[str]:
        """The session whose refresh token was issued under this path, according to the companion."""
        return self._named_by(self._all(self._companion_name))

    def host_session_ids(self) -> list[str]:
        """The sessions whose refresh tokens were issued on this host, under any path."""
        prefix = self.transport.host_name("session-")
        return self._named_by([value for name, value in self._values if name.startswith(prefix)])

    def access_tokens(self) -> list[str]:
        """The access tokens that came in the cookie of pages without JavaScript."""
        return self._all(self.transport.host_name("access"))

    def device_marks(self) -> list[str]:
        """The device marks, which show that this browser has logged in before."""
        return self._all(self._device_name)

    def was_bounced(self) -> bool:
        """Whether this navigation returns from a refresh."""
        return bool(self._all(self.transport.host_name("bounced")))

    def proven_marks(self) -> list[str]:
        """The marks of browsers that have just proven their device's key."""
        return self._all(self.proven_name)

    def set_refresh(self, refresh_token: str, session_id: str, max_age: int | None) -> list[Header]:
        """The headers that set `refresh_token` and its companion.

        max_age: for how many seconds; None: until the browser is closed. Others of the same name are cleared first.
        """
        return [
            *self._clear_strays(),
            self._here(self.transport.name, refresh_token, max_age),
            self._everywhere(
                self._companion_name,
                companion_of(session_id, self._keys[0]) if session_id else "",
                max_age,
                same_site="Strict",
            ),
        ]

    def clear(self) -> list[Header]:
        """The headers that clear the session's cookies, but not the device marks."""
        return [*self.set_refresh("", "", 0), self.set_access("", 0), self.set_proven("", 0), self.unmark()]

    def set_access(self, access_token: str, max_age: int | None) -> Header:
        """The header that sets an access token for pages without JavaScript. SameSite=Lax, so that the user is logged
        in after following a link from another site."""
        return self._everywhere(self.transport.host_name("access"), access_token, max_age)

    def set_device(self, mark: str) -> Header:
        """The header that sets a device mark."""
        return self._here(self._device_name, mark, DEVICE_SECONDS)

    def set_proven(self, mark: str, max_age: int) -> Header:
        """The header that sets the mark of a browser that has proven its device's key, for `max_age` seconds."""
        return self._here(self.proven_name, mark, max_age)

    @property
    def proven_name(self) -> str:
        """The name of that mark's cookie."""
        return self.transport.path_name("proven")

    @property
    def attributes_here(self) -> str:
        """The attributes of the cookies that browsers send to the endpoints only, without Max-Age."""
        return f"Path={self.path}; HttpOnly; SameSite=Strict{'; Secure' if self.transport.secure else ''}"

    def mark(self, expires_in: int) -> Header:
        """The header that marks a navigation as returning from a refresh, for at most the access token's lifetime of
        `expires_in` seconds."""
        return self._everywhere(self.transport.host_name("bounced"), "1", min(MARK_SECONDS, expires_in))

    def unmark(self) -> Header:
        """The header that clears the mark."""
        return self._everywhere(self.transport.host_name("bounced"), "", 0)

    @property
    def _companion_name(self) -> str:
        # By path, so that two deployments on one host don't mix up theirs.
        return self.transport.host_name(f"session-{hashlib.sha256(self.path.encode()).hexdigest()[:8]}")

    @property
    def _device_name(self) -> str:
        return self.transport.path_name("device")

    def _named_by(self, companions: list[str]) -> list[str]:
        found = (session_of(companion, self._keys) for companion in companions)
        return [session_id for session_id in found if session_id is not None]

    def _all(self, name: str) -> list[str]:
        return [value for other, value in self._values if other == name]

    def _here(self, name: str, value: str, max_age: int | None) -> Header:
        return self._header(name, value, f"Path={self.path}{_for(max_age)}; HttpOnly; SameSite=Strict")

    def _everywhere(self, name: str, value: str, max_age: int | None, same_site: str = "Lax") -> Header:
        return self._header(name, value, f"Path=/{_for(max_age)}; HttpOnly; SameSite={same_site}")

    def _header(self, name: str, value: str, attributes: str) -> Header:
        return "set-cookie", f"{name}={value}; {attributes}{'; Secure' if self.transport.secure else ''}"

    def _clear_strays(self) -> list[Header]:
        """If several cookies of one name came, clear all that may have been set under other paths or for parent domains
        (a browser ignores those that are public suffixes)."""
        if len(self.refresh_tokens()) < 2:
            return []
        steps = f"{self.request.root}{self.request.path}".split("/")
        paths = ["/".join(steps[:length]) or "/" for length in range(1, len(steps) + 1)]
        labels = (urlsplit(self.transport.origin).hostname or "").split(".")
        is_name = not labels[-1].isdigit() and ":" not in labels[-1]
        domains = ["", *(".".join(labels[start:]) for start in range(len(labels) - 1) if is_name)]
        return [
            self._header(
                self.transport.name,
                "",
                f"Path={path}{f'; Domain={domain}' if domain else ''}; Max-Age=0; HttpOnly; SameSite=Strict",
            )
            for path in paths
            for domain in domains
            if domain or path != self.path
        ]


def _for(max_age: int | None) -> str:
    return "" if max_age is None else f"; Max-Age={max_age}"
