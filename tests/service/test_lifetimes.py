"""Remembering, or not, over HTTP; lifetimes of clients; and giving the password once more."""

import json
from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from tenure import ConfigurationError, Lifetime, Policy
from tenure.core.policy import DAY, HOUR
from tenure.http.clients import add_client
from tenure.server.settings import load, to_environment
from tests.service.conftest import ORIGIN, PASSWORD, Answer, Api, refused
from tests.service.process import tenure

KIOSK = Policy(lifetimes={"kiosk": Lifetime(idle_ttl=HOUR, absolute_ttl=2 * HOUR)})


def max_ages(answer: Answer) -> dict[str, str]:
    """The cookies of an answer with their Max-Age; "" for one that ends with the browser."""
    found: dict[str, str] = {}
    for header in answer.headers.get_list("set-cookie"):
        for name, morsel in SimpleCookie(header).items():
            found[name.partition("tenure-")[2].partition("-")[0]] = morsel["max-age"]
    return found


def jar(answer: Answer) -> dict[str, str]:
    pairs = [header.partition(";")[0] for header in answer.headers.get_list("set-cookie")]
    return {"Cookie": "; ".join(pairs), "Origin": ORIGIN}


def login(api: Api, **more: Any) -> Answer:
    body = {"username": "ada", "password": PASSWORD, "transport": "cookie", **more}
    answer = api.post("/auth/login", json=body, headers={"Origin": ORIGIN})
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize(
    ("more", "kept", "idle", "absolute"),
    [
        ({}, str(14 * 86400), 14 * DAY, 90 * DAY),
        ({"remember": None}, str(14 * 86400), 14 * DAY, 90 * DAY),
        ({"remember": True}, str(14 * 86400), 14 * DAY, 90 * DAY),
        ({"remember": False}, "", 2 * HOUR, DAY),
    ],
)
def test_remember_me(api: Api, more: dict[str, Any], kept: str, idle: float, absolute: float) -> None:
    answer = login(api, **more)
    for _ in range(3):
        found = max_ages(answer)
        assert (found["refresh"], found["session"]) == (kept, kept)
        body = answer.json()
        assert body["refresh_expires_in"] == body["refresh_token_expires_in"] == idle
        assert body["authorization_expires_in"] == absolute
        answer = api.post("/auth/refresh", headers=jar(answer))
    (listed,) = api.get("/auth/sessions", bearer=answer.json()["access_token"]).json()["sessions"]
    assert listed["lifetime"] == ("browser" if kept == "" else "remembered")
    assert listed["ends_at"] == listed["created_at"] + absolute


def test_pages_without_javascript_forget_as_well(api: Api) -> None:
    answer = login(api, remember=False)
    navigation = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    went = api.get("/auth/continue?to=/page", headers={**jar(answer), **navigation})
    assert went.status_code == 303
    found = max_ages(went)
    assert (found["refresh"], found["session"], found["access"]) == ("", "", "")


@pytest.mark.parametrize("wrong", [1, 0, "true", "", [], {}])
def test_remember_is_true_or_false(api: Api, wrong: Any) -> None:
    body = {"username": "ada", "password": PASSWORD, "remember": wrong}
    refused(api.post("/auth/login", json=body), 400, "invalid_request")


def test_logging_out_clears_what_ends_with_the_browser(api: Api) -> None:
    answer = api.post("/auth/logout", headers=jar(login(api, remember=False)))
    assert set(max_ages(answer).values()) == {"0"}


def test_a_client_has_a_lifetime_of_its_own(make_api: Callable[..., Api]) -> None:
    api = make_api(policy=KIOSK)
    api.run(api.auth.run(add_client("terminal", api.auth.issuer.random, public=True, lifetime="kiosk")))
    assert api.admin_session(client_id="terminal")["refresh_expires_in"] == HOUR
    assert api.admin_session(client_id="terminal", lifetime="browser")["refresh_expires_in"] == 2 * HOUR
    assert api.admin_session(lifetime="kiosk")["authorization_expires_in"] == 2 * HOUR
    body = {"subject": "user-42", "lifetime": "eternal"}
    refused(api.post("/admin/sessions", json=body, bearer=api.api_key), 400, "invalid_request")


def test_a_backend_says_how_it_has_authenticated_the_user(api: Api) -> None:
    pair = api.admin_session(acr="phr", amr=["hwk", "user"])
    me = api.get("/auth/me", bearer=pair["access_token"]).json()
    assert (me["acr"], me["amr"]) == ("phr", ["hwk", "user"])
    for wrong in ({"acr": 5}, {"acr": "a b"}, {"amr": "pwd"}, {"amr": [5]}):
        body = {"subject": "user-42", **wrong}
        refused(api.post("/admin/sessions", json=body, bearer=api.api_key), 400, "invalid_request")


def test_lifetimes_are_tables_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tenure.toml"
    file.write_text('[lifetimes.kiosk]\nidle_ttl = "20m"\nabsolute_ttl = "1h"\noutlives_browser = false\n')
    settings = load(str(file), {})
    assert settings.policy().lifetime("kiosk") == Lifetime(idle_ttl=1200, absolute_ttl=3600, outlives_browser=False)
    workers = json.loads(to_environment(settings)["TENURE_LIFETIMES"])
    assert workers == {"kiosk": {"idle_ttl": 1200.0, "absolute_ttl": 3600.0, "outlives_browser": False}}
    for text, said in (
        ("[lifetimes.kiosk]\nidle_ttl = 1200\n", "lifetimes.kiosk.absolute_ttl: field required"),
        ('[lifetimes.kiosk]\nidle_ttl = "soon"\nabsolute_ttl = "1h"\n', "lifetimes.kiosk.idle_ttl: is a number"),
        ('[lifetimes.kiosk]\nidle_ttl = "1h"\nabsolute_ttl = "1h"\ncolour = 1\n', "colour"),
        ('lifetimes = "kiosk"\n', "lifetimes"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=said):
            load(str(file), {})
    file.write_text('[lifetimes.kiosk]\nidle_ttl = "2h"\nabsolute_ttl = "1h"\n')
    with pytest.raises(ConfigurationError, match="must not be longer"):
        load(str(file), {}).policy()


def test_the_command_line_says_them(tmp_path: Path) -> None:
    (tmp_path / "tenure.toml").write_text('[lifetimes.kiosk]\nidle_ttl = "20m"\nabsolute_ttl = "1h"\n')
    known = {"config": "tenure.toml"}
    added = tenure(tmp_path, "clients", "add", "terminal", "--public", "--lifetime", "kiosk", **known)
    assert added.returncode == 0, added.stderr
    failed = tenure(tmp_path, "clients", "add", "other", "--public", "--lifetime", "eternal", **known)
    assert failed.returncode == 1
    assert "browser, kiosk, remembered" in failed.stderr
    assert "kiosk" in tenure(tmp_path, "clients", "list", **known).stdout


# Giving the password once more


def step_up(api: Api, token: str, **changes: Any) -> Answer:
    return api.post("/auth/step-up", json={"username": "ada", "password": PASSWORD, **changes}, bearer=token)


@pytest.mark.asvs("7.5.1", "7.5.3")
def test_the_password_is_given_once_more(api: Api) -> None:
    pair = api.login()
    api.clock.now += 400
    answer = step_up(api, pair["access_token"])
    assert answer.json() == {"session_id": pair["session_id"], "auth_time": int(api.clock.now)}
    newer = api.refresh(pair["refresh_token"]).json()
    me = api.get("/auth/me", bearer=newer["access_token"]).json()
    assert (me["auth_time"], me["amr"], me["sid"]) == (int(api.clock.now), ["pwd"], pair["session_id"])
    assert [event.kind for event in api.events] == ["logged_in", "stepped_up", "refreshed"]


def test_only_ones_own_password_counts(api: Api) -> None:
    pair = api.login()
    api.accounts.add("bob", "staple of the horse")
    refused(step_up(api, pair["access_token"], password="wrong"), 400, "invalid_grant")
    other = step_up(api, pair["access_token"], username="bob", password="staple of the horse")
    refused(other, 400, "invalid_grant")
    refused(api.post("/auth/step-up", json={"username": "ada", "password": PASSWORD}), 401, "invalid_token")
    refused(step_up(api, pair["access_token"], username=5), 400, "invalid_request")
    backend = api.admin_session(client_id="public")
    refused(step_up(api, backend["access_token"]), 403, "insufficient_scope")
    assert "stepped_up" not in [event.kind for event in api.events]


def test_guesses_are_limited_as_at_a_login(api: Api) -> None:
    pair = api.login()
    answers = [step_up(api, pair["access_token"], password="wrong").status_code for _ in range(25)]
    assert answers[0] == 400
    assert answers[-1] == 429


def test_a_session_that_has_ended_is_not_stepped_up(api: Api) -> None:
    pair = api.login()
    api.run(api.auth.revoke(pair["session_id"]))
    refused(step_up(api, pair["access_token"]), 401, "invalid_token", "revoked")
