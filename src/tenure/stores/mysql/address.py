"""A MySQL URL as PyMySQL's arguments: `mysql://user:password@host1,host2:3306/database?ssl_mode=VERIFY_IDENTITY`.

The options have the names of MySQL's own programs: `unix_socket`, `ssl_mode`, `ssl_ca`, `ssl_cert`, `ssl_key`.
"""

import ssl
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tenure.core.errors import ConfigurationError

PORT = 3306
_OPTIONS = ("unix_socket", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key")
_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")


def addresses(url: str) -> list[dict[str, Any]]:
    """PyMySQL's arguments for each host that a URL names, in order. Raises ConfigurationError for a URL that can't be
    used."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ConfigurationError("The store's URL is not one that MySQL's client understands.") from None
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise ConfigurationError(f"The store's URL has an option {unknown[0]!r}. MySQL's are {', '.join(_OPTIONS)}.")
    database = unquote(parts.path.removeprefix("/"))
    if not database or "/" in database:
        raise ConfigurationError("The store's URL names no database: mysql://user@host/database.")
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    common = {"user": unquote(user), "password": unquote(password), "database": database, **_tls(options)}
    if "unix_socket" in options:
        return [{**common, "unix_socket": options["unix_socket"]}]
    return [{**common, **_place(host)} for host in hosts.split(",")]


def _place(host: str) -> dict[str, Any]:
    place = urlsplit(f"//{host}")
    try:
        port = place.port or PORT
    except ValueError:
        raise ConfigurationError("The store's URL has a port that can't be one.") from None
    return {"host": place.hostname or "localhost", "port": port}


def _tls(options: dict[str, str]) -> dict[str, Any]:
    mode = options.get("ssl_mode", "VERIFY_CA" if "ssl_ca" in options else "PREFERRED").upper()
    if mode not in _MODES:
        raise ConfigurationError(f"The store's ssl_mode is one of {', '.join(_MODES)}.")
    if mode == "DISABLED":
        return {"ssl_disabled": True}
    if mode == "PREFERRED" and "ssl_cert" not in options:
        return {}  # TLS where the server has it
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca"))
        if "ssl_cert" in options:
            context.load_cert_chain(options["ssl_cert"], options.get("ssl_key"))
    except (OSError, ssl.SSLError) as problem:
        raise ConfigurationError(f"The certificates that the store's URL names can't be read: {problem}.") from None
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # certificates that MySQL makes for itself have no key usage
    context.check_hostname = mode == "VERIFY_IDENTITY"
    context.verify_mode = ssl.CERT_REQUIRED if mode.startswith("VERIFY") else ssl.CERT_NONE
    return {"ssl": context}
