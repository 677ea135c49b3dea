"""The requests that a session itself sends: to tenure's endpoints, or to any standard token endpoint."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

from tenure.client.record import Credentials
from tenure.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Post:
    """One POST request. Its headers and body contain secrets."""

    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Endpoints(Protocol):
    """Where and how a session logs in, refreshes and logs out."""

    @property
    def refresh_url(self) -> str:
        """The URL that refresh tokens are sent to."""
        ...

    def refresh_request(self, credentials: Credentials) -> Post:
        """Exchange the refresh token; sends the attempt key as well."""
        ...

    def login_request(self, username: str, password: str, device: str, remember: bool | None) -> Post:
        """Log in with a name and a password."""
        ...

    def logout_request(self, refresh_token: str) -> Post | None:
        """End the session; None if the server offers no way to."""
        ...


@dataclass(frozen=True, slots=True)
class TenureEndpoints:
    """tenure's own, under `base` ("https://api.example.com/auth")."""

    base: str

    @property
    def refresh_url(self) -> str:
        """POST …/refresh"""
        return self._url("refresh")

    def refresh_request(self, credentials: Credentials) -> Post:
        """POST …/refresh"""
        return self._post("refresh", {"refresh_token": credentials.refresh_token}, credentials.attempt)

    def login_request(self, username: str, password: str, device: str, remember: bool | None) -> Post:
        """POST …/login"""
        content: dict[str, Any] = {"username": username, "password": password}
        if device:
            content["device"] = device
        if remember is not None:
            content["remember"] = remember
        return self._post("login", content)

    def logout_request(self, refresh_token: str) -> Post | None:
        """POST …/logout"""
        return self._post("logout", {"refresh_token": refresh_token})

    def _url(self, name: str) -> str:
        return f"{self.base.rstrip('/')}/{name}"

    def _post(self, name: str, content: dict[str, Any], attempt: str | None = None) -> Post:
        key = {} if attempt is None else {"idempotency-key": attempt}
        return Post(self._url(name), {"content-type": "application/json", **key}, json.dumps(content).encode())


@dataclass(frozen=True, slots=True)
class StandardEndpoints:
    """Any server's token endpoint (RFC 6749 section 6), as a public client or, with a secret, by client_secret_basic.

    revocation_endpoint: where a log-out is sent (RFC 7009), if the server has one.
    """

    token_endpoint: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    revocation_endpoint: str | None = None

    @property
    def refresh_url(self) -> str:
        """The token endpoint."""
        return self.token_endpoint

    def refresh_request(self, credentials: Credentials) -> Post:
        """The refresh grant, with the attempt key for servers that know it; others ignore it."""
        form = {"grant_type": "refresh_token", "refresh_token": credentials.refresh_token}
        post = self._post(self.token_endpoint, form)
        key = {} if credentials.attempt is None else {"idempotency-key": credentials.attempt}
        return Post(post.url, {**post.headers, **key}, post.body)

    def login_request(self, username: str, password: str, device: str, remember: bool | None) -> Post:  # noqa: ARG002 - none takes one
        """Not available: pass the first tokens to `adopt`."""
        raise ConfigurationError("A standard token endpoint has no login with a password: adopt() the first tokens.")

    def logout_request(self, refresh_token: str) -> Post | None:
        """Revoke the refresh token (RFC 7009), where the server offers that."""
        if self.revocation_endpoint is None:
            return None
        return self._post(self.revocation_endpoint, {"token": refresh_token, "token_type_hint": "refresh_token"})

    def _post(self, url: str, form: dict[str, str]) -> Post:
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if self.client_secret is None:
            form = {**form, "client_id": self.client_id}
        else:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return Post(url, headers, urlencode(form).encode())
