"""Rules about addresses: loopback, origin and site.

An origin is scheme, host and port (RFC 6454). A site is scheme and registrable domain, which decides whether a browser
sends a SameSite cookie. The Public Suffix List defines registrable domains.
"""

import functools
import ipaddress
import re
from importlib.util import find_spec
from urllib.parse import urlsplit

from tenure.core.errors import ConfigurationError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_DEFAULT_PORTS = {"https": 443, "http": 80}


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without port or brackets, is this machine itself (RFC 6761, RFC 6890)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin_of(url: str) -> str:
    """The origin of a URL, as browsers spell it (RFC 6454 section 6.2)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def path_of(url: str) -> str:
    """The path of a URL, without a trailing slash."""
    return urlsplit(url).path.rstrip("/")


def allowed_origin(text: str) -> str:
    """Check an origin in a setting. Raises ConfigurationError if no browser's Origin header can equal it."""
    wrong = f"{text!r} can't be an allowed origin: "
    if not isinstance(text, str):
        raise ConfigurationError(f"{wrong}it is text.")
    if text == "*":
        raise ConfigurationError(f"{wrong}a cookie is for pages that are named, each by its own origin.")
    if "://" not in text:
        raise ConfigurationError(f"{wrong}it lacks the scheme. Is https://{text.strip('/')} meant?")
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        named = origin_of(text.lower().replace(host, host.encode("idna").decode(), 1) if host else text)
    except (ValueError, UnicodeError):
        raise ConfigurationError(f"{wrong}it is no address.") from None
    if not _SCHEME.fullmatch(parts.scheme) or not parts.hostname or "*" in parts.netloc:
        raise ConfigurationError(f"{wrong}it is scheme, host and port of one address, like https://app.example.org.")
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(f"{wrong}an origin has no path. Is {named} meant?")
    return named


def check_path(name: str, path: str) -> None:
    """Raise ConfigurationError for a path that can't be an endpoint's or a cookie's."""
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ConfigurationError(
            f"{name} is a path like /auth or /api/auth, of letters, digits and . _ ~ -, not {path!r}."
        )


def site_of(origin: str) -> tuple[str, str]:
    """The site of an origin: its scheme, and its registrable domain (or its host, if it has none)."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    return parts.scheme, _registrable(host) or host


def other_sites(origin: str, allowed: frozenset[str]) -> list[str]:
    """The `allowed` origins of other sites: browsers send no SameSite cookie with requests of their pages.

    None if the list of public suffixes is not installed.
    """
    if find_spec("publicsuffixlist") is None:
        return []
    return sorted(other for other in allowed if site_of(other) != site_of(origin))


@functools.cache
def _registrable(host: str) -> str | None:
    from publicsuffixlist import PublicSuffixList

    try:
        ipaddress.ip_address(host)
    except ValueError:
        found: str | None = PublicSuffixList().privatesuffix(host)
        return found
    return None
