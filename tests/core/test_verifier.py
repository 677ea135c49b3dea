"""The Verifier: keys from a value or a URL, fetched at a bounded rate, whatever tokens come."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tenure import ConfigurationError, InvalidAccessToken, StoreUnavailable, Tenure, Verifier
from tenure.driving.upkeep import keep_ring, rotate_ring
from tests.conftest import AUDIENCE, ISSUER, Clock


class KeyServer:
    """Serves whatever `body` is, and counts."""

    def __init__(self) -> None:
        self.body: Any = {"keys": []}
        self.status, self.requests = 200, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(outer.body if isinstance(outer.body, bytes) else json.dumps(outer.body).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[KeyServer]:
    started = KeyServer()
    yield started
    started.close()


@pytest.fixture
def verifier(server: KeyServer, clock: Clock) -> Verifier:
    return Verifier(server.url, ISSUER, AUDIENCE, clock=clock, monotonic=clock)


def test_a_value_is_enough(auth: Tenure, clock: Clock) -> None:
    token = auth.login("user-42").access_token
    assert Verifier(auth.jwks(), ISSUER, AUDIENCE, clock=clock).verify(token).subject == "user-42"
    with pytest.raises(InvalidAccessToken, match="unknown key"):
        Verifier({"keys": []}, ISSUER, AUDIENCE, clock=clock).verify(token)
    with pytest.raises(InvalidAccessToken, match="another issuer"):
        Verifier(auth.jwks(), "https://other.example", AUDIENCE, clock=clock).verify(token)


def test_keys_are_fetched_once(auth: Tenure, server: KeyServer, verifier: Verifier) -> None:
    server.body = auth.jwks()
    for _ in range(5):
        verifier.verify(auth.login("user-42").access_token)
    assert server.requests == 1


def test_a_new_key_is_fetched_when_it_is_met(auth: Tenure, server: KeyServer, verifier: Verifier, clock: Clock) -> None:
    server.body = auth.jwks()
    verifier.verify(auth.login("user-42").access_token)
    auth.run(rotate_ring(auth.issuer, at_once=True))
    auth.run(keep_ring(auth.issuer))
    server.body = auth.jwks()
    token = auth.login("user-42").access_token
    with pytest.raises(InvalidAccessToken):  # too soon after the last fetch
        verifier.verify(token)
    clock.advance(30)
    assert verifier.verify(token).subject == "user-42"
    assert server.requests == 2


def test_made_up_key_ids_cannot_flood_the_issuer(
    make: Callable[..., Tenure], server: KeyServer, verifier: Verifier, clock: Clock
) -> None:
    auth, stranger = make(store="memory://"), make(store="memory://")
    server.body = auth.jwks()
    for _ in range(100):
        with pytest.raises(InvalidAccessToken):
            verifier.verify(stranger.login("user-42").access_token)
        clock.advance(1)
    assert server.requests <= 4


def test_keys_grow_stale(auth: Tenure, server: KeyServer, verifier: Verifier, clock: Clock) -> None:
    server.body = auth.jwks()
    token = auth.login("user-42").access_token
    verifier.verify(token)
    clock.advance(601)
    server.body = {"keys": []}
    with pytest.raises(InvalidAccessToken):  # the issuer has withdrawn its keys
        verifier.verify(token)
    assert server.requests == 2


@pytest.mark.parametrize("broken", [b"", b"[]", b"{", b'{"keys": 5}', b"\xff\xfe"])
def test_an_issuer_that_answers_nonsense_costs_no_keys(
    auth: Tenure, server: KeyServer, verifier: Verifier, clock: Clock, broken: bytes
) -> None:
    server.body = auth.jwks()
    token = auth.login("user-42").access_token
    verifier.verify(token)
    server.body = broken
    clock.advance(599)
    verifier.verify(token)
    clock.advance(-590 + 592)  # stale, not yet expired
    assert verifier.verify(auth.login("user-42").access_token).subject == "user-42"
    assert server.requests == 2


def test_an_issuer_that_was_never_reached_is_no_fault_of_the_token(
    auth: Tenure, server: KeyServer, verifier: Verifier, clock: Clock
) -> None:
    server.status, server.body = 500, b""
    token = auth.login("user-42").access_token
    with pytest.raises(StoreUnavailable, match="can't be fetched"):
        verifier.verify(token)
    server.status, server.body = 200, auth.jwks()
    clock.advance(30)
    assert verifier.verify(token).subject == "user-42"


@pytest.mark.parametrize("url", ["http://example.com/jwks", "file:///etc/passwd", "ftp://example.com/", "jwks.json"])
@pytest.mark.asvs("9.1.3")
def test_keys_are_only_fetched_where_nobody_can_change_them(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be https"):
        Verifier(url, ISSUER, AUDIENCE)


def test_https_and_loopback_urls_are_allowed() -> None:
    for url in ("https://example.com/jwks", "http://localhost:1/x", "http://[::1]:1/x", "http://a.localhost/"):
        Verifier(url, ISSUER, AUDIENCE)


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct", "k": "AAAA"},
        {"kty": "EC", "crv": "P-384"},
        {"use": "enc"},
        {"alg": "ES384"},
        {"alg": "none"},
        {"kid": 5},
        {"x": "AA"},
        {"x": 7},
        {"kty": ["EC"]},
        {"kty": None},
    ],
)
def test_keys_that_cannot_check_a_token_are_passed_over(auth: Tenure, clock: Clock, change: dict[str, Any]) -> None:
    (good,) = auth.jwks()["keys"]
    token = auth.login("user-42").access_token
    odd = {**good, "kid": "odd", **change}
    assert Verifier({"keys": [odd, "junk", good]}, ISSUER, AUDIENCE, clock=clock).verify(token).subject == "user-42"
    with pytest.raises(InvalidAccessToken):
        Verifier({"keys": [{**odd, "kid": change.get("kid", good["kid"])}]}, ISSUER, AUDIENCE, clock=clock).verify(
            token
        )


@pytest.mark.parametrize("value", [[], {}, {"keys": {}}, {"keys": None}])
def test_a_value_that_is_no_jwk_set_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="JWK set"):
        Verifier(value, ISSUER, AUDIENCE)
