"""Requests and responses as plain values, and bounded, strict parsing of bodies, with a message for each fault.

A parameter that occurs twice is refused, in a query, a form (RFC 6749 section 3.2) and a JSON object alike, as two
parsers could read it differently.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from tenure.core.errors import InvalidRequest

MAX_BODY_BYTES = 64 * 1024
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are in lower case; `address` is the client's; `path_parameters` come from the
    route. The representation leaves out body and headers, as they may contain secrets.

    root: the part of the URL's path before `path`, where the application is mounted. endpoints: the path of tenure's
    endpoints, as browsers see it, if the framework knows it.
    """

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    address: str = ""
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    root: str = ""
    endpoints: str | None = None


HTML_TYPE = "text/html; charset=utf-8"
NO_SNIFFING = ("x-content-type-options", "nosniff")
_PAGE_HEADERS = [
    ("referrer-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
]


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. `headers` are complete, with those that forbid sniffing the type and framing the page. A page
    may have its own content security policy."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        own = [NO_SNIFFING]
        if ("content-type", HTML_TYPE) in self.headers:
            named = {name for name, _ in self.headers}
            own += [header for header in _PAGE_HEADERS if header[0] not in named]
        object.__setattr__(self, "headers", [*self.headers, *own])


class RequestError(InvalidRequest):
    """A refusal with a status other than 400. `headers` are added to the response."""

    status: ClassVar[int] = 400
    headers: Sequence[tuple[str, str]] = ()


class NotFound(RequestError):
    """It does not exist, or not for this caller."""

    status = 404


class MethodNotAllowed(RequestError):
    """The path exists, but does not support this method (RFC 9110 section 15.5.6)."""

    status = 405

    def __init__(self, allowed: Sequence[str]) -> None:
        names = ", ".join(sorted(allowed))
        super().__init__(f"The method is not allowed here: {names} is.")
        self.headers = [("allow", names)]


class BodyTooLarge(RequestError):
    """The body is larger than any request needs."""

    status = 413
    message = f"The body is larger than {MAX_BODY_BYTES} bytes."


class WrongContentType(RequestError):
    """The body's content type is not the endpoint's."""

    status = 415


class TooManyRequests(RequestError):
    """The caller has tried too often (RFC 6585 section 4)."""

    status = 429
    code = "temporarily_unavailable"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many attempts. Try again in {retry_after} seconds.")
        self.headers = [("retry-after", str(retry_after))]


def json_response(
    content: Any, status: int = 200, headers: Sequence[tuple[str, str]] = (), *, cache: str = "no-store"
) -> Response:
    """A JSON response. It may contain a token or describe a session, so it is not to be stored unless `cache` says
    so."""
    return Response(
        status, [("content-type", JSON_TYPE), ("cache-control", cache), *headers], _encode(content).encode()
    )


def with_header(response: Response, name: str, value: str) -> Response:
    """A response with one header more."""
    own = [NO_SNIFFING, *_PAGE_HEADERS]
    return Response(
        response.status, [*(one for one in response.headers if one not in own), (name, value)], response.body
    )


def no_content(headers: Sequence[tuple[str, str]] = ()) -> Response:
    """An empty response."""
    return Response(204, [("cache-control", "no-store"), *headers])


def access_token(request: Request) -> tuple[str, bool] | None:
    """The access token of the Authorization header, and whether it is sent as DPoP (RFC 9449 section 7.1); or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "dpop") or not token.strip():
        return None
    return token.strip(), scheme.lower() == "dpop"


def bearer(request: Request) -> str | None:
    """The token of the Authorization header (RFC 6750 section 2.1), or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def json_object(request: Request, *, optional: bool = False) -> dict[str, Any]:
    """The JSON object in the body. If it is `optional`, an empty body counts as an empty object.

    Raises WrongContentType and InvalidRequest.
    """
    if optional and not request.body:
        return {}
    _check_type(request, JSON_TYPE)
    try:
        content = json.loads(request.body.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not UTF-8.") from None
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not JSON.") from None
    if not isinstance(content, dict):
        raise InvalidRequest("The body is not a JSON object.")
    return content


def form(request: Request) -> dict[str, str]:
    """The parameters of a form in the body. Raises WrongContentType and InvalidRequest."""
    _check_type(request, FORM_TYPE)
    try:
        return _pairs(request.body.decode())
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not UTF-8.") from None


def query(request: Request) -> dict[str, str]:
    """The parameters of the query. Raises InvalidRequest."""
    return _pairs(request.query)


def text(values: Mapping[str, Any], name: str, *, longest: int, shortest: int = 1) -> str:
    """The text `values` has under `name`. Raises InvalidRequest if it is missing, not text, or out of bounds."""
    value = values.get(name)
    if not isinstance(value, str) or not shortest <= len(value) <= longest:
        raise InvalidRequest(f"{name} is needed: text of {shortest} to {longest} characters.")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
        raise InvalidRequest(f"{name} is not well-formed text.") from None
    return value


def optional_text(values: Mapping[str, Any], name: str, *, longest: int) -> str | None:
    """Like `text`, but None if it is missing or null."""
    return None if values.get(name) is None else text(values, name, longest=longest, shortest=0)


def _check_type(request: Request, expected: str) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != expected:
        raise WrongContentType(f"The body must be {expected}.")


def _pairs(encoded: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise InvalidRequest("The parameters are not well-formed.") from None
    return _no_duplicates(pairs)


def _no_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise InvalidRequest("A parameter occurs more than once.")
    return values


def _no_constant(name: str) -> Any:
    raise ValueError(name)
