"""Your devices: the page, and the same as JSON."""

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tenure import ConfigurationError, Policy
from tenure.http.device_names import device_name
from tenure.http.devices_page import DevicesPage
from tenure.http.texts import ENGLISH, language_of
from tests.service.conftest import PASSWORD, Answer, Api, refused
from tests.service.process import service, tenure

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)
NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
HOUR = 3600.0


class Browser:
    """Keeps its cookies, and follows the redirections of a navigation."""

    def __init__(self, api: Api, **headers: str) -> None:
        self.api, self.headers, self.cookies = api, {**NAVIGATION, **headers}, dict[str, str]()

    def send(self, method: str, path: str, **details: Any) -> Answer:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {**self.headers, "Cookie": cookie, **details.pop("headers", {})}
        answer = self.api.request(method, path, headers=headers, **details)
        for header in answer.headers.get_list("set-cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0;" in header:
                del self.cookies[name]
        return answer

    def go(self, path: str = "/auth/devices") -> str:
        for _ in range(5):
            answer = self.send("GET", path)
            once_more = re.search('http-equiv="refresh" content="0; url=(.*?)"', answer.text)
            if answer.status_code != 303 and once_more is None:
                self.cookies.pop("__Host-tenure-bounced", None)  # it lasts for seconds
                return answer.text
            path = answer.headers["location"] if once_more is None else unescape(once_more[1])
        raise AssertionError("a loop")

    def submit(self, end: str, **details: Any) -> Answer:
        return self.send("POST", "/auth/devices", data={"end": end}, **details)

    def login(self, device: str = FIREFOX) -> "Browser":
        account = {"username": "ada", "password": PASSWORD, "transport": "cookie", "device": device}
        assert self.send("POST", "/auth/login", json=account).status_code == 200
        return self


@pytest.fixture
def browser(api: Api) -> Browser:
    return Browser(api).login()


def names(page: str) -> list[str]:
    return [re.sub(" ?<.*", "", name) for name in re.findall(r"<h2 id[^>]*>(.*)</h2>", page)]


def test_the_page_says_where_one_is_logged_in(browser: Browser) -> None:
    browser.api.login(device=IPHONE)
    browser.api.clock.advance(2 * HOUR)
    answer = browser.send("GET", "/auth/devices")
    assert answer.headers["location"].startswith("/auth/continue")
    page = browser.go()
    assert names(page) == ["Firefox on Windows", "Safari on iPhone"]
    assert page.count("This device") == 1
    assert "Logged in 2 hours ago</span> · 192.0.2.7" in page
    assert page.index("Last used 2 hours ago") > page.index("Safari on iPhone")


def test_what_a_device_calls_itself_is_no_markup(api: Api) -> None:
    page = Browser(api).login("<script>alert(1)</script>").go()
    assert "<script" not in page
    assert names(page) == ["&lt;script&gt;alert(1)&lt;/script&gt;"]


def test_the_page_allows_its_own_style_and_nothing_else(make_api: Callable[..., Api]) -> None:
    browser = Browser(make_api(devices=DevicesPage(stylesheet="/static/mine.css", home="/account"))).login()
    browser.go()
    answer = browser.send("GET", "/auth/devices")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; ")
    assert re.search(r"style-src 'sha256-\S{44}' 'self'$", policy)
    assert '<link rel="stylesheet" href="/static/mine.css">' in answer.text
    assert 'href="/account"' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get_list("x-frame-options") == ["DENY"]


@pytest.mark.asvs("7.5.2")
def test_one_is_ended_and_the_page_says_so(browser: Browser) -> None:
    phone = browser.api.login(device=IPHONE)
    browser.go()
    answer = browser.submit(phone["session_id"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/devices")
    page = browser.go()
    assert names(page) == ["Firefox on Windows"]
    assert "One device has been logged out." in page
    assert "Logged out from the list of devices" in page
    refused(browser.api.refresh(phone["refresh_token"]), 400, "invalid_grant", "revoked")
    browser.api.clock.advance(61)
    assert "One device has been logged out." not in browser.go()


def test_all_others_are_ended(browser: Browser) -> None:
    for device in ("a", "b"):
        browser.api.login(device=device)
    assert len(names(browser.go())) == 3
    browser.submit("others")
    page = browser.go()
    assert names(page) == ["Firefox on Windows"]
    assert "2 devices have been logged out." in page
    assert "Log out all other devices" not in page


def test_ending_this_one_logs_the_browser_out(browser: Browser) -> None:
    page = browser.go()
    (own,) = re.findall(r'name="end" value="([0-9a-f]{32})" data-current', page)
    answer = browser.submit(own)
    assert "You are logged out" in answer.text
    assert {name for name in browser.cookies if not name.endswith(("device", "bounced"))} == set()
    assert browser.send("GET", "/auth/continue").status_code == 200


def test_ending_this_one_as_json(api: Api) -> None:
    pair = api.login()
    answer = api.post("/auth/devices", data={"end": pair["session_id"]}, bearer=pair["access_token"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get("/auth/devices", bearer=pair["access_token"]).json()["reason"] == "revoked"


def test_a_page_of_a_session_that_was_ended_elsewhere_leads_to_the_login(browser: Browser) -> None:
    browser.go()
    browser.api.run(browser.api.auth.revoke_all("ada"))
    answer = browser.submit("others")
    assert answer.status_code == 303
    assert "You are not logged in" in browser.go(answer.headers["location"])


def test_another_users_session_is_not_to_be_had(browser: Browser) -> None:
    other = browser.api.admin_session(subject="bob")
    browser.go()
    assert browser.submit(other["session_id"]).status_code == 303
    assert browser.api.refresh(other["refresh_token"]).status_code == 200


def test_a_form_of_another_site_changes_nothing(browser: Browser) -> None:
    browser.api.login(device="other")
    browser.go()
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    refused(browser.submit("others", headers=foreign), 403, "invalid_request")
    browser.api.clock.advance(HOUR)
    refused(browser.submit("others", headers=foreign), 403, "invalid_request")
    assert len(names(browser.go())) == 2


@pytest.mark.parametrize("what", ["others", "one"])
def test_a_page_that_was_open_for_long_asks_again(browser: Browser, what: str) -> None:
    phone = browser.api.login(device=IPHONE)["session_id"]
    browser.go()
    browser.api.clock.advance(HOUR)
    wanted = phone if what == "one" else "others"
    answer = browser.submit(wanted)
    assert answer.status_code == 303
    page = browser.go(answer.headers["location"])
    question = page[page.index("This page was open for a while") : page.index("<ul")]
    assert f'value="{wanted}"' in question
    assert ("Safari on iPhone" in question) == (what == "one")
    assert len(names(page)) == 2
    browser.submit(wanted)
    assert names(browser.go()) == ["Firefox on Windows"]


@pytest.mark.parametrize("end", ["", "x", "OTHERS", "0" * 31, "0" * 33, "<b>"])
def test_what_else_is_to_be_ended_is_refused(browser: Browser, end: str) -> None:
    browser.go()
    refused(browser.submit(end), 400, "invalid_request")


def test_strangers_are_sent_away(api: Api, make_api: Callable[..., Api]) -> None:
    assert refused(api.get("/auth/devices"), 401, "invalid_token")
    refused(api.post("/auth/devices", data={"end": "others"}), 401, "invalid_token")
    assert "You are not logged in" in Browser(api).go()


def test_other_clients_are_refused(api: Api) -> None:
    pair = api.admin_session(client_id="public")
    refused(api.get("/auth/devices", bearer=pair["access_token"]), 403, "insufficient_scope")


def test_the_same_as_json(api: Api) -> None:
    first, second = api.login(device=IPHONE), api.login(device="")
    content = api.get("/auth/devices", bearer=first["access_token"]).json()
    assert content["language"] == "en"
    assert content["devices"][0] == {
        "id": first["session_id"],
        "name": "Safari on iPhone",
        "app": "",
        "current": True,
        "created_at": int(api.clock.now),
        "last_used_at": int(api.clock.now),
        "since": "Logged in just now",
        "last_used": "Last used just now",
        "place": "192.0.2.7",
        "bound": None,
        "bound_text": "",
    }
    assert content["activity"][0]["text"] == "Logged in"
    after = api.post("/auth/devices", data={"end": second["session_id"]}, bearer=first["access_token"]).json()
    assert [device["id"] for device in after["devices"]] == [first["session_id"]]
    assert after["message"] == "One device has been logged out."


def test_a_theft_is_told_in_plain_words(browser: Browser) -> None:
    first = browser.api.login(device=IPHONE)
    second = browser.api.refresh(first["refresh_token"]).json()
    browser.api.refresh(second["refresh_token"])
    browser.api.refresh(first["refresh_token"])
    page = browser.go()
    alarm = page[page.index('role="alert"') : page.index("<ul")]
    assert "a copy of this login was used" in alarm
    assert "Safari on iPhone" in alarm
    assert "Change your password" in alarm
    browser.api.clock.advance(8 * 24 * HOUR)
    page = browser.go()
    assert 'role="alert"' not in page
    assert "a copy of this login was used" in page


def test_every_reason_has_words(api: Api) -> None:
    pair = api.login()
    for reason in ("made_up_by_the_application", "ended_by_admin"):
        api.run(api.auth.revoke(api.login(device="x")["session_id"], reason=reason))
    content = api.get("/auth/devices", bearer=pair["access_token"]).json()
    said = {entry["text"] for entry in content["activity"]}
    assert said == {"Logged in", "Logged out", "Logged out by the operators of this site"}


def test_without_an_audit_trail_there_are_still_devices(make_api: Callable[..., Api]) -> None:
    page = Browser(make_api(policy=Policy(audit_ttl=0))).login().go()
    assert names(page) == ["Firefox on Windows"]
    assert "Nothing." in page


async def _slowly(address: str) -> str:
    return f"the town of {address}"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (lambda address: f"a place at {address}", "a place at 192.0.2.7 (192.0.2.7)"),
        (_slowly, "the town of 192.0.2.7 (192.0.2.7)"),
        (lambda _: None, "192.0.2.7"),
        (lambda _: 7, "192.0.2.7"),
        (lambda _: 1 / 0, "192.0.2.7"),
    ],
)
def test_the_application_may_know_the_place(make_api: Callable[..., Api], place: Any, said: str) -> None:
    api = make_api(devices=DevicesPage(place=place))
    pair = api.login(device="x")
    content = api.get("/auth/devices", bearer=pair["access_token"]).json()
    assert content["devices"][0]["place"] == said


GERMAN = {
    "title": "Deine Geräte",
    "minutes_ago": lambda n: f"vor {n} Minute{'n' * (n > 1)}",
    "ended.moved": "Umgezogen",
}


def test_texts_can_be_translated(make_api: Callable[..., Api]) -> None:
    api = make_api(devices=DevicesPage(texts={"de": GERMAN}))
    browser = Browser(api, **{"Accept-Language": "fr;q=0.9, de-AT, en;q=0.1"}).login()
    api.run(api.auth.revoke(api.login()["session_id"], reason="moved"))
    api.clock.advance(120)
    page = browser.go()
    assert '<html lang="de">' in page
    assert "<h1>Deine Geräte</h1>" in page
    assert "vor 2 Minuten" in page
    assert "Umgezogen" in page
    assert "This device" in page


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-ch", "de"),
        ("en, de", "en"),
        ("en;q=0.4, de;q=0.5", "de"),
        ("de;q=0", "en"),
        ("pt-PT", "en"),
        ("pt-BR", "pt-BR"),
        ("*", "en"),
        ("de;q=x, pt-br;q=0.1", "pt-BR"),
        (",;;,q=", "en"),
        ("fr," * 10_000 + "de", "en"),
        ("de;q=nan", "en"),
    ],
)
def test_the_browser_chooses_the_language(accepted: str, language: str) -> None:
    assert language_of(accepted, {"de": {}, "pt-BR": {}}) == language


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"place": "somewhere"}, "a function"),
        ({"texts": {"de": {"titel": "x"}}}, "no page says 'titel'"),
        ({"texts": {"de": {"title": "{oops}"}}}, "'title' can't be put together"),
        ({"texts": {"de": {"title": "{"}}}, "'title' can't be put together"),
        ({"texts": {"de": {"title": 7}}}, "'title' can't be put together"),
        ({"texts": {"de": {"minutes_ago": lambda n: n}}}, "is text, not int"),
        ({"texts": {"de": {"minutes_ago": lambda: ""}}}, "can't be put together"),
        ({"texts": {"title": "x"}}, "texts by language"),
        ({"texts": ["de"]}, "texts by language"),
        ({"texts": {7: {}}}, "texts by language"),
        ({"stylesheet": "https://evil.example/x.css"}, "a path of this site"),
        ({"home": "//evil.example"}, "a path of this site"),
        ({"home": 7}, "a path of this site"),
    ],
)
def test_what_can_not_work_is_refused_at_once(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(why)):
        DevicesPage(**settings)


def test_every_text_can_be_said() -> None:
    assert DevicesPage(texts={"xx": ENGLISH})


WEBKIT, GECKO = "AppleWebKit/537.36 (KHTML, like Gecko)", "AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("device", "browser", "system"),
    [
        (FIREFOX, "Firefox", "Windows"),
        (IPHONE, "Safari", "iPhone"),
        (
            f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {WEBKIT} Chrome/150.0.0.0 Mobile Safari/537.36",
            "Chrome",
            "Pixel 8",
        ),
        (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/150.0.0.0 Mobile Safari/537.36", "Chrome", "Android"),
        (f"Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) {GECKO} CriOS/120.0 Mobile/15E148", "Chrome", "iPad"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {GECKO} Version/18.5 Safari/605.1.15", "Safari", "macOS"),
        (f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/150.0 Safari/537.36 Edg/150.0", "Edge", "Windows"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/150.0 Safari/537.36", "Chrome", "Linux"),
        ("Ada's iPhone", "Ada's iPhone", ""),
        ("curl/8.5.0", "curl", ""),
        ("our-app/2.1 (kiosk)", "our-app/2.1 (kiosk)", ""),
        ("", "", ""),
    ],
)
def test_devices_have_names_that_people_know(device: str, browser: str, system: str) -> None:
    assert device_name(device) == (browser, system)


def test_the_service_takes_a_page_of_the_operators(tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text(
        "from tenure.http.devices_page import DevicesPage\n"
        'page = DevicesPage(texts={"de": {"title": "Deine Geräte"}}, place=lambda _: "Lisbon")\n'
    )
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    with (
        service(tmp_path, "--devices", "ours:page", "--login-page", "/enter") as url,
        httpx2.Client(base_url=url) as http,
    ):
        german = {**NAVIGATION, "Accept-Language": "de"}
        stranger = http.get("/auth/continue?to=/auth/devices&again=1", headers=german)
        assert stranger.headers["location"] == "/enter?next=%2Fauth%2Fdevices"
        http.post("/auth/login", json={"username": "ada", "password": PASSWORD, "transport": "cookie"})
        page = http.get("/auth/devices", headers=german, follow_redirects=True).text
    assert "Deine Geräte" in page
    assert "Lisbon (127.0.0.1)" in page


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--devices", "nowhere:page"], "MODULE:NAME of a DevicesPage"),
        (["--devices", "os:path"], "DevicesPage"),
        (["--devices", "x"], "MODULE:NAME of a DevicesPage"),
        (["--login-page", "https://elsewhere.example/"], "a path of this site"),
    ],
)
def test_the_service_refuses_a_page_that_can_not_work(tmp_path: Path, flags: list[str], why: str) -> None:
    refused_to_start = tenure(tmp_path, "serve", *flags)
    assert refused_to_start.returncode == 1
    assert why in refused_to_start.stderr
    assert "Traceback" not in refused_to_start.stderr
