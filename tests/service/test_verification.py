"""For those who check tokens elsewhere: a proxy that asks, and verifiers that follow what was revoked."""

import asyncio
import time
from pathlib import Path

import httpx2
import pytest

from tenure import InvalidAccessToken, Policy, Verifier
from tenure.core.errors import RevokedAccessToken
from tests.service.conftest import Api, refused
from tests.service.process import PASSWORD, service, tenure


def test_a_proxy_is_told_whose_token_it_is(api: Api) -> None:
    pair = api.login()
    answer = api.get("/auth/verify", bearer=pair["access_token"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["x-auth-subject"] == "ada"
    assert answer.headers["x-auth-session"] == pair["session_id"]
    assert answer.headers["x-auth-client"] == "first-party"
    assert answer.headers["cache-control"] == "max-age=5"
    assert answer.headers["vary"].startswith("authorization")
    api.clock.advance(597)
    assert api.get("/auth/verify", bearer=pair["access_token"]).headers["cache-control"] == "max-age=3"
    api.clock.advance(4)
    refused(api.get("/auth/verify", bearer=pair["access_token"]), 401, "invalid_token", "expired")
    refused(api.get("/auth/verify"), 401, "invalid_token")


def test_a_proxy_asks_for_more_than_a_valid_token(api: Api) -> None:
    token = api.run(api.auth.login("ada", acr="phr")).access_token
    assert api.get("/auth/verify?max_age=300&acr_values=phr+phrh", bearer=token).status_code == 204
    weak = api.get("/auth/verify?acr_values=phrh", bearer=token)
    refused(weak, 401, "insufficient_user_authentication")
    assert weak.headers["www-authenticate"].endswith('acr_values="phrh"')
    api.clock.advance(298)
    assert api.get("/auth/verify?max_age=300", bearer=token).headers["cache-control"] == "max-age=2"
    api.clock.advance(3)
    old = api.get("/auth/verify?max_age=300", bearer=token)
    refused(old, 401, "insufficient_user_authentication")
    assert old.headers["www-authenticate"].endswith("max_age=300")
    for wrong in ("max_age=soon", "acr_values=%22", "acr_values=a%0d%0ab", "acr_values=%C3%A9", "acr_values=a++b"):
        refused(api.get(f"/auth/verify?{wrong}", bearer=token), 400, "invalid_request")


def test_a_subject_of_any_letters_fits_into_a_header(api: Api) -> None:
    pair = api.run(api.auth.login("ådä 100%"))
    headers = api.get("/auth/verify", bearer=pair.access_token).headers
    assert headers["x-auth-subject"] == "%C3%A5d%C3%A4 100%25"


def test_the_feed_tells_of_each_end_once(api: Api) -> None:
    begin = api.get("/auth/revoked").json()
    assert begin == {"position": 0, "keep_for": 600.0, "revoked": []}
    one, other = (api.run(api.auth.login("ada")) for _ in range(2))
    api.run(api.auth.revoke(one.session_id))
    news = api.get("/auth/revoked?since=0")
    assert news.json()["revoked"] == [{"sid": one.session_id, "revoked_at": api.clock.now}]
    assert news.headers["access-control-allow-origin"] == "*"
    position = news.json()["position"]
    nothing = api.get(f"/auth/revoked?since={position}")
    assert nothing.json()["revoked"] == []
    unchanged = api.get(f"/auth/revoked?since={position}", headers={"If-None-Match": nothing.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    api.run(api.auth.revoke(other.session_id))
    again = api.get(f"/auth/revoked?since={position}", headers={"If-None-Match": nothing.headers["etag"]}).json()
    assert [entry["sid"] for entry in again["revoked"]] == [other.session_id]


def test_the_feed_leaves_out_what_no_living_token_can_need(make_api: type[Api]) -> None:
    api = make_api(policy=Policy(access_ttl=60, clock_skew=5))
    old = api.run(api.auth.login("ada"))
    api.run(api.auth.revoke(old.session_id))
    assert len(api.get("/auth/revoked").json()["revoked"]) == 1
    api.clock.advance(65)
    assert api.get("/auth/revoked").json()["revoked"] == []
    assert api.get("/auth/revoked").json()["keep_for"] == 65


@pytest.mark.parametrize(
    "query", ["since=x", "since=-1", "since=" + "9" * 19, "wait=1.5", "since=1&since=2", "since=²"]
)
def test_the_feeds_parameters_are_checked(api: Api, query: str) -> None:
    refused(api.get(f"/auth/revoked?{query}"), 400, "invalid_request")


def test_the_feed_waits_for_news(api: Api) -> None:
    pair = api.run(api.auth.login("ada"))

    async def both() -> httpx2.Response:
        waiting = asyncio.ensure_future(api.http.get("/auth/revoked?since=0&wait=30"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await api.auth.revoke(pair.session_id)
        return await asyncio.wait_for(waiting, 5)

    assert [entry["sid"] for entry in api.run(both()).json()["revoked"]] == [pair.session_id]


def test_the_feed_does_not_wait_for_ever(api: Api) -> None:
    begun = time.monotonic()
    assert api.get("/auth/revoked?since=0&wait=1").json()["revoked"] == []
    assert 0.5 < time.monotonic() - begun < 5


@pytest.mark.asvs("7.4.1")
def test_a_verifier_elsewhere_hears_of_the_end_by_itself(tmp_path: Path) -> None:
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    with service(tmp_path) as url:
        credentials = {"username": "ada", "password": PASSWORD}
        before, after = (httpx2.post(f"{url}/auth/login", json=credentials).json() for _ in range(2))
        httpx2.post(f"{url}/auth/logout", json={"refresh_token": before["refresh_token"]})
        verifier = Verifier(f"{url}/.well-known/jwks.json", issuer=url, audience="api")
        assert verifier.verify(after["access_token"]).subject == "ada"
        until_refused(verifier, before["access_token"])  # ended before the verifier was there
        assert verifier.verify(after["access_token"]).subject == "ada"
        httpx2.post(f"{url}/auth/logout", json={"refresh_token": after["refresh_token"]})
        until_refused(verifier, after["access_token"])
        verifier.close()


def until_refused(verifier: Verifier, token: str) -> None:
    for _ in range(100):
        try:
            verifier.verify(token)
        except RevokedAccessToken:
            return
        time.sleep(0.05)
    raise AssertionError("the verifier does not hear of the end")


def test_an_issuer_without_a_feed_is_asked_once(tmp_path: Path) -> None:
    """As those of others are."""
    import http.server
    import threading

    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if "jwks" in self.path else 404)
            self.end_headers()
            self.wfile.write(b'{"keys": []}')

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        url = f"http://127.0.0.1:{server.server_port}"
        verifier = Verifier(f"{url}/.well-known/jwks.json", issuer=url, audience="api")
        for _ in range(3):
            with pytest.raises(InvalidAccessToken):
                verifier.verify("rubbish")
        for _ in range(100):
            if len(asked) == 2:
                break
            time.sleep(0.02)
        time.sleep(0.2)
        assert asked == ["/.well-known/jwks.json", "/auth/revoked?since=0&wait=0"]
        server.shutdown()
