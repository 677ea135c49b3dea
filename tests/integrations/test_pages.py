"""Pages that carry no JavaScript, in FastAPI, Flask and Django alike: one set of stories, told of each."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tenure import Policy, Tenure
from tests.conftest import AUDIENCE, SECRET, Clock
from tests.integrations.page_sites import django_app, fastapi_app, flask_app

ORIGIN = "http://127.0.0.1:8000"
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none", "Accept": "text/html"}


class Browser:
    """Keeps cookies by their paths, and follows redirections on request; `ask(method, path, headers)` is the site."""

    def __init__(
        self, ask: Callable[[str, str, dict[str, str]], tuple[int, list[tuple[str, str]], str]], clock: Clock
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._until: dict[str, float] = {}
        self.cookies: dict[str, tuple[str, str]] = {}
        self.keeps: Callable[[str], bool] = lambda name: True
        self.visited: list[str] = []

    def request(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
        self.cookies = {name: kept for name, kept in self.cookies.items() if self._until[name] > self._clock.now}
        sent = [f"{name}={value}" for name, (value, scope) in self.cookies.items() if path.startswith(scope)]
        every = {**headers, **({"Cookie": "; ".join(sent)} if sent else {})}
        self.visited.append(path.partition("?")[0])
        status, answered, body = self._ask(method, path, every)
        for name, value in answered:
            if name.lower() == "set-cookie":
                self._keep(value)
        return status, {name.lower(): value for name, value in answered}, body

    def go(self, path: str, **headers: str) -> tuple[int, str]:
        """Navigate, through at most ten redirections."""
        for _ in range(10):
            status, answered, body = self.request(path, **{**NAVIGATION, **headers})
            if status != 303:
                return status, body
            path = answered["location"]
            assert path.startswith("/")
        raise AssertionError(f"a loop: {self.visited}")

    def _keep(self, header: str) -> None:
        pair, *attributes = header.split("; ")
        name, _, value = pair.partition("=")
        known = dict(part.lower().partition("=")[::2] for part in attributes)
        assert "httponly" in known
        assert known["samesite"] in ("strict", "lax")
        if known["max-age"] == "0":
            self.cookies.pop(name, None)
        elif self.keeps(name):
            self.cookies[name] = (value, known["path"])
            self._until[name] = self._clock.now + float(known["max-age"])


def fastapi_site(folder: Path, clock: Clock) -> Iterator[Browser]:
    from starlette.testclient import TestClient

    with (
        fastapi_app(folder, clock, ORIGIN) as app,
        TestClient(app, base_url=ORIGIN, follow_redirects=False) as client,
    ):

        def ask(method: str, path: str, headers: dict[str, str]) -> tuple[int, list[tuple[str, str]], str]:
            client.cookies.clear()
            answer = client.request(method, path, headers=headers)
            return answer.status_code, answer.headers.multi_items(), answer.text

        yield Browser(ask, clock)


def flask_site(folder: Path, clock: Clock, policy: Policy | None = None) -> Iterator[Browser]:
    with flask_app(folder, clock, ORIGIN, policy) as app:

        def ask(method: str, path: str, headers: dict[str, str]) -> tuple[int, list[tuple[str, str]], str]:
            answer = app.test_client(use_cookies=False).open(path, method=method, headers=headers)
            return answer.status_code, list(answer.headers.items()), answer.text

        yield Browser(ask, clock)


def django_site(folder: Path, clock: Clock) -> Iterator[Browser]:
    with django_app(folder, clock, ORIGIN):
        from django.test import Client

        def ask(method: str, target: str, headers: dict[str, str]) -> tuple[int, list[tuple[str, str]], str]:
            answer = Client(headers=headers).generic(method, target)
            cookies = [("set-cookie", morsel.OutputString()) for morsel in answer.cookies.values()]
            return answer.status_code, [*answer.items(), *cookies], answer.content.decode()

        yield Browser(ask, clock)


SITES = {"fastapi": fastapi_site, "flask": flask_site, "django": django_site}


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Browser]:
    yield from SITES[request.param](tmp_path, clock)


def enter(browser: Browser) -> None:
    status, answered, _ = browser.request("/enter?next=/page", "POST", Origin=ORIGIN)
    assert (status, answered["location"]) == (303, "/page")


def body(text: str) -> str:
    found = re.search(r"<p>(.*?)</p>", text)
    assert found is not None, text
    return found[1].strip()


def test_an_expired_token_is_renewed_by_one_bounce(site: Browser, clock: Clock) -> None:
    enter(site)
    assert body(site.go("/page?q=1%202&r=é".replace("é", "%C3%A9"))[1]) == "ada 1 2"
    clock.advance(601)
    site.visited.clear()
    assert (site.go("/page?q=1%202")[0], body(site.go("/page?q=1%202")[1])) == (200, "ada 1 2")
    assert site.visited == ["/page", "/auth/continue", "/page", "/page"]
    site.cookies.pop("tenure-access")
    clock.advance(11)
    assert site.go("/page")[0] == 200


def test_a_token_that_lives_for_seconds_is_renewed_too(tmp_path: Path, clock: Clock) -> None:
    for site in flask_site(tmp_path, clock, Policy(access_ttl=5)):
        enter(site)
        for _ in range(3):
            clock.advance(6)
            assert site.go("/page")[0] == 200


@pytest.mark.asvs("10.1.1")
def test_the_refresh_cookie_stays_below_its_prefix(site: Browser) -> None:
    enter(site)
    assert site.cookies["tenure-refresh"][1] == "/auth"
    assert site.cookies["tenure-access"][1] == "/"


def test_a_stranger_is_sent_to_the_login_page_and_from_there_back(site: Browser) -> None:
    status, answered, _ = site.request("/page?q=7", **NAVIGATION)
    assert status == 303
    status, _, once_more = site.request(answered["location"], **NAVIGATION)
    again = re.search(r'content="0; url=([^"]+)"', once_more)
    assert status == 200
    assert again is not None
    status, answered, _ = site.request(again[1].replace("&amp;", "&"), **NAVIGATION)
    assert status == 303
    assert parse_qs(urlsplit(answered["location"]).query) == {"from": ["pages"], "next": ["/page?q=7"]}


def test_other_requests_are_not_bounced(site: Browser, clock: Clock) -> None:
    enter(site)
    clock.advance(601)
    fetch = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    status, answered, text = site.request("/page", **fetch)
    assert (status, '"reason":"expired"' in text) == (401, True)
    assert 'error="invalid_token"' in answered["www-authenticate"]
    assert site.request("/page", "POST", **{**NAVIGATION, "Origin": ORIGIN})[0] == 401


def test_a_form_of_another_site_changes_nothing(site: Browser) -> None:
    enter(site)
    foreign = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert site.request("/page", "POST", **foreign)[0] == 403
    own = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}
    assert body(site.request("/page", "POST", **own)[2]) == "changed by ada"


def test_twelve_requests_at_expiry_are_all_served(site: Browser, clock: Clock) -> None:
    enter(site)
    clock.advance(601)
    first = [site.request("/page", **NAVIGATION) for _ in range(12)]
    refreshes = [answered["location"] for _, answered, _ in first]
    kept = dict(site.cookies)
    answers = []
    for target in refreshes:  # each with the cookies as they were when all of them set out
        site.cookies = dict(kept)
        answers.append((site.request(target, **NAVIGATION), dict(site.cookies)))
    assert [answered[0] for answered, _ in answers] == [303] * 12
    for (_, answered, _), cookies in answers:
        site.cookies = cookies
        assert site.go(answered["location"])[0] == 200
    clock.advance(601)
    assert site.go("/page")[0] == 200


def test_a_request_that_set_out_before_others_were_answered_is_no_theft(site: Browser, clock: Clock) -> None:
    """Three tabs. The first is answered; the second has its cookies by then; the third set out before, and is last."""
    enter(site)
    clock.advance(601)
    third = dict(site.cookies)
    for tab in range(3):
        if tab == 2:
            site.cookies = third
        status, answered, _ = site.request("/auth/continue?to=/page", **NAVIGATION)
        assert (status, answered["location"]) == (303, "/page")
        assert site.go("/page")[0] == 200
    clock.advance(601)
    assert site.go("/page")[0] == 200


MODULE = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}


def test_a_pages_module_and_other_tabs_do_not_take_each_other_for_thieves(site: Browser, clock: Clock) -> None:
    """A tab was bounced, and its page's module asks for an access token; another tab's bounce is under way."""
    enter(site)
    clock.advance(601)
    late = {name: kept for name, kept in site.cookies.items() if name != "tenure-bounced"}  # that one is over
    assert site.go("/page")[0] == 200
    status, _, text = site.request("/auth/refresh", "POST", **MODULE, **{"Idempotency-Key": "key-of-the-modules"})
    assert status == 200
    told = json.loads(text)
    assert told["access_token"] == site.cookies["tenure-access"][0]
    assert told["refresh_expires_in"] == 14 * 86400
    site.cookies = late
    assert site.go("/page")[0] == 200
    clock.advance(31)  # the leeway is over: a refresh is one again
    before = dict(site.cookies)
    status, _, text = site.request("/auth/refresh", "POST", **MODULE, **{"Idempotency-Key": "next-key-of-the-modules"})
    assert status == 200
    assert site.cookies["tenure-refresh"] != before["tenure-refresh"]
    assert site.cookies["tenure-access"][0] == json.loads(text)["access_token"]  # pages have it, too
    clock.advance(601)
    assert site.go("/page")[0] == 200


def test_a_fresh_access_token_hides_no_theft(site: Browser, clock: Clock) -> None:
    enter(site)
    old = site.cookies["tenure-refresh"]
    for _ in range(3):
        clock.advance(601)
        assert site.go("/page")[0] == 200
    site.cookies["tenure-refresh"] = old
    status, _, text = site.request("/auth/refresh", "POST", **MODULE)
    assert (status, json.loads(text)["reason"]) == (400, "reuse_detected")


def test_without_cookies_there_is_a_clear_page_and_no_loop(site: Browser, clock: Clock) -> None:
    site.keeps = lambda name: False
    enter(site)
    status, text = site.go("/page")
    assert status in (200, 400)
    assert site.visited.count("/page") == 1
    assert "One moment" in text  # which leads to the login page


def test_an_access_token_that_no_cookie_can_hold_ends_in_a_clear_page(site: Browser, clock: Clock) -> None:
    site.keeps = lambda name: "access" not in name
    enter(site)
    clock.advance(11)
    status, text = site.go("/page")
    assert status == 400
    assert "does not keep this site&#x27;s cookies" in text or "does not keep this site's cookies" in text
    assert site.visited.count("/auth/continue") == 1


def test_a_stolen_and_used_session_leads_to_the_login_page(site: Browser, clock: Clock) -> None:
    enter(site)
    old = dict(site.cookies)
    for _ in range(2):
        clock.advance(601)
        assert site.go("/page")[0] == 200
    clock.advance(601)
    site.cookies = old
    status, answered, _ = site.request("/auth/continue?to=/page", **NAVIGATION)
    assert (status, answered["location"]) == (303, "/enter?from=pages&next=%2Fpage")


def test_logging_out_takes_both_cookies_back(site: Browser) -> None:
    enter(site)
    assert site.request("/auth/logout", "POST", Origin=ORIGIN)[0] == 204
    assert {"tenure-refresh", "tenure-access"}.isdisjoint(site.cookies)


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example", "//evil.example", "/%5C/evil.example", "%5C%5Cevil.example", "javascript:alert(1)",
        "/%0D%0ASet-Cookie:x=1", "evil.example", "", "/" + "a" * 5000,
    ],
)  # fmt: skip
def test_nobody_is_sent_to_another_site(site: Browser, to: str) -> None:
    enter(site)
    status, answered, _ = site.request(f"/auth/continue?to={to}", **NAVIGATION)
    assert status in (400, 414)
    assert "location" not in answered


def test_only_navigations_are_continued(site: Browser) -> None:
    enter(site)
    image = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}
    assert site.request("/auth/continue?to=/page", **image)[0] == 400


def test_really_at_once(tmp_path: Path) -> None:
    """Twelve threads present one token: none is taken for a theft."""
    with Tenure(
        f"sqlite:///{tmp_path}/t.db", secret=SECRET, issuer=ORIGIN, audience=AUDIENCE, policy=Policy(), poll=3600
    ) as auth:
        token = auth.login("ada").refresh_token
        with ThreadPoolExecutor(12) as pool:
            pairs = list(pool.map(auth.refresh, [token] * 12))
        assert len({pair.refresh_token for pair in pairs}) == 12
        auth.refresh(pairs[-1].refresh_token)
