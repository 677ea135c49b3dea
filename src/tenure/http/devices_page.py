"""How "Your devices" looks: what the application may change of it, and the page made of a view.

The page needs no JavaScript, and allows none. Its style has CSS variables, light and dark.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from tenure.core.errors import ConfigurationError
from tenure.http.cookies import Header
from tenure.http.messages import HTML_TYPE, Response
from tenure.http.texts import Texts, check_texts

Place = Callable[[str], Any]
"""Answers where an address is ("Lisbon, Portugal"), or None; plain or `async`."""


@dataclass(frozen=True, slots=True)
class DevicesPage:
    """What an application may change of the page "Your devices".

    place: a function that answers where an IP address is, or None. texts: texts by language, in place of the English
    ones or beside them; the user's browser chooses. stylesheet: the path of a stylesheet of this site, which comes
    after the page's own. home: the path that leads back to the application. Raises ConfigurationError.
    """

    place: Place | None = None
    texts: Mapping[str, Texts] = field(default_factory=dict)
    stylesheet: str | None = None
    home: str = "/"

    def __post_init__(self) -> None:
        if self.place is not None and not callable(self.place):
            raise ConfigurationError("place is a function of an IP address.")
        check_texts(self.texts)
        for name, path in (("stylesheet", self.stylesheet), ("home", self.home)):
            if path is not None:
                check_page(name, path)


def check_page(name: str, path: object) -> None:
    """Raise ConfigurationError for what is not a path of this site. Unlike check_path's, it may end with a slash."""
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
        raise ConfigurationError(f"{name} is a path of this site, like /account, not {path!r}.")


def page(template: str, view: Mapping[str, Any], changes: DevicesPage, headers: Sequence[Header] = ()) -> Response:
    """The page that a template of `templates/` makes of a view."""
    environment, style, policy = _prepared()
    html = environment.get_template(template).render(**view, style=style, stylesheet=changes.stylesheet)
    if changes.stylesheet is not None:
        policy += " 'self'"
    base = [("content-type", HTML_TYPE), ("cache-control", "no-store"), ("content-security-policy", policy)]
    return Response(200, [*base, *headers], html.encode())


def utc(moment: float) -> str:
    """A moment as people write it, whatever their language."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"


@cache
def _prepared() -> tuple[Any, Any, str]:
    """Jinja's environment, the pages' style, and the policy that allows it and nothing else."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    style = (resources.files(__package__) / "templates" / "devices.css").read_text()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = Environment(
        loader=PackageLoader("tenure.http"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["utc"] = utc
    policy = f"{_POLICY}; style-src 'sha256-{digest}'"
    return environment, Markup(style), policy  # noqa: S704 - our own file
