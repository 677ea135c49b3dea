"""A browser that knows Device Bound Session Credentials, by the algorithms of the W3C draft (section 8).

It has a cookie jar and a session store, and follows the draft before and after each request. Independent of the
server's code.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urljoin, urlsplit

from tests.dpop import Key

Send = Callable[..., Any]
"""Sends a request (method, path, headers and more) and returns the response, with `headers` and `status_code`."""


@dataclass
class Cookie:
    value: str
    path: str
    until: float


@dataclass
class DeviceSession:
    """What the browser keeps of a session (section 7.3)."""

    id: str
    refresh_url: str
    cookie: str
    cookie_path: str
    key: Key
    challenge: str | None = None


@dataclass
class UserAgent:
    """now: the clock. knows_dbsc: whether it heeds the headers. skips: a reason for not refreshing, if any."""

    send: Send
    now: Callable[[], float]
    origin: str
    knows_dbsc: bool = True
    skips: str | None = None
    algorithm: str = "ES256"
    jar: dict[str, Cookie] = field(default_factory=dict)
    sessions: dict[str, DeviceSession] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)

    def request(self, method: str, path: str, **details: Any) -> Any:
        """Send a request as a page's fetch does: refresh the sessions whose cookie it lacks (8.5), and process what
        the response says."""
        headers = dict(details.pop("headers", {}))
        for session in list(self.sessions.values()):
            if self._lacks_cookie(session, path):
                if self.skips is not None:
                    headers["Secure-Session-Skipped"] = f'{self.skips};session_identifier="{session.id}"'
                else:
                    self._ask(session.refresh_url, session.key, session, session.challenge)
        response = self._fetch(method, path, headers, **details)
        if self.knows_dbsc:
            self._register(response, path)
        return response

    def _fetch(self, method: str, path: str, headers: dict[str, str], **details: Any) -> Any:
        cookies = self._cookies_for(path)
        said = "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items())
        same_site = {"Sec-Fetch-Site": "same-origin", "Origin": self.origin}
        self.sent.append(f"{method} {path}")
        response = self.send(
            method, path, headers={**same_site, **({"Cookie": said} if said else {}), **headers}, **details
        )
        for header in response.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(header).items():
                self.jar[name] = Cookie(morsel.value, morsel["path"], self.now() + int(morsel["max-age"]))
        self._take_challenge(response)
        return response

    def _cookies_for(self, path: str) -> dict[str, Cookie]:
        at = path.partition("?")[0]
        return {
            name: cookie
            for name, cookie in self.jar.items()
            if self.now() < cookie.until and (at == cookie.path or at.startswith(cookie.path.rstrip("/") + "/"))
        }

    def _take_challenge(self, response: Any) -> None:
        """8.7: cache a challenge for the session that it names."""
        said = response.headers.get("secure-session-challenge")
        found = re.fullmatch('"([^"]*)";id="([^"]*)"', said) if said else None
        if found is not None and found[2] in self.sessions:
            self.sessions[found[2]].challenge = found[1]

    def _register(self, response: Any, path: str) -> None:
        """8.9: create a session."""
        said = response.headers.get("secure-session-registration")
        if said is None:
            return
        found = re.fullmatch(r'\(([A-Z0-9 ]+)\);path="([^"]*)";challenge="([^"]*)"', said)
        assert found is not None, said
        assert self.algorithm in found[1].split()
        endpoint = urlsplit(urljoin(self.origin + path, found[2])).path
        self._ask(endpoint, Key(self.algorithm), None, found[3])

    def _ask(
        self, url: str, key: Key, session: DeviceSession | None, challenge: str | None, again: bool = True
    ) -> None:
        """8.8: send a registration or a refresh, and follow the response."""
        headers = {}
        if session is not None:
            headers["Sec-Secure-Session-Id"] = f'"{session.id}"'
        if challenge is not None:
            headers["Secure-Session-Response"] = f'"{self.proof(key, challenge, registers=session is None)}"'
        response = self._fetch("POST", url, headers)
        if response.status_code in (407, 429) or 300 <= response.status_code < 400 or response.status_code >= 500:
            return
        if response.status_code == 403:
            if session is not None and again:
                self._ask(url, key, session, session.challenge, again=False)
            return
        if response.status_code >= 400:
            if session is not None:
                self.sessions.pop(session.id, None)
            return
        if session is not None and not response.text:
            return
        told = json.loads(response.text)
        (credential,) = told["credentials"]
        assert credential["type"] == "cookie"
        assert told["scope"] == {"origin": self.origin, "include_site": False}
        assert credential["name"] in self.jar
        known = self.sessions.get(told["session_identifier"])
        self.sessions[told["session_identifier"]] = DeviceSession(
            told["session_identifier"],
            urlsplit(urljoin(self.origin + url, told["refresh_url"])).path,
            credential["name"],
            dict(part.partition("=")[::2] for part in credential["attributes"].split("; "))["Path"],
            key,
            known.challenge if known else None,
        )

    def proof(self, key: Key, challenge: str, *, registers: bool, **changes: Any) -> str:
        """9.10: a proof."""
        header = {"typ": "dbsc+jwt", "alg": key.algorithm, "jwk": key.jwk if registers else None}
        return key.jws({**header, **changes.pop("header", {})}, {"jti": challenge, **changes})

    def _lacks_cookie(self, session: DeviceSession, path: str) -> bool:
        """8.2 and 8.6: whether the URL is in scope, and lacks a cookie that would be sent there."""
        at = path.partition("?")[0]
        return (
            at != session.refresh_url
            and at.startswith(session.cookie_path.rstrip("/") + "/")
            and session.cookie not in self._cookies_for(path)
        )
