"""For backends that did their own login: sessions made, listed and ended with an API key."""

from typing import Any

import pytest

from tenure import ConfigurationError
from tenure.http.clients import add_api_key, add_client, list_api_keys, remove_api_key
from tests.service.conftest import Api, refused


def test_a_session_is_made_listed_and_ended(api: Api) -> None:
    pair = api.admin_session(scope="read write", claims={"roles": ["editor"]}, device="Backend")
    me = api.get("/auth/me", bearer=pair["access_token"]).json()
    assert (me["sub"], me["roles"], me["scope"], me["client_id"]) == (
        "user-42",
        ["editor"],
        "read write",
        "first-party",
    )
    renewed = api.refresh(pair["refresh_token"]).json()
    assert api.get("/auth/me", bearer=renewed["access_token"]).json()["roles"] == ["editor"]
    listed = api.get("/admin/sessions?subject=user-42", bearer=api.api_key).json()["sessions"]
    assert [(one["id"], one["device"]) for one in listed] == [(pair["session_id"], "Backend")]
    for _ in range(2):
        assert api.delete(f"/admin/sessions/{pair['session_id']}", bearer=api.api_key).status_code == 204
    assert api.get("/admin/sessions?subject=user-42", bearer=api.api_key).json() == {"sessions": []}
    refused(api.get("/auth/me", bearer=renewed["access_token"]), 401, "invalid_token", "revoked")
    assert api.events[-1].by == "api-key:backend"
    refused(api.delete(f"/admin/sessions/{'0' * 32}", bearer=api.api_key), 404, "invalid_request")


def test_the_audit_trail_says_who_came_from_where(api: Api) -> None:
    pair = api.admin_session(device="Backend", address="203.0.113.7")
    api.delete(f"/admin/sessions/{pair['session_id']}", bearer=api.api_key)
    ended, login = api.get("/admin/audit?subject=user-42", bearer=api.api_key).json()["entries"]
    assert (login["kind"], login["device"], login["address"]) == ("logged_in", "Backend", "203.0.113.7")
    assert (ended["kind"], ended["reason"], ended["by"]) == ("revoked", "ended_by_admin", "api-key:backend")
    assert ended["address"]
    assert {login["session_id"], ended["session_id"]} == {pair["session_id"]}
    refused(api.get("/admin/audit", bearer=api.api_key), 400, "invalid_request")


@pytest.mark.asvs("7.4.5")
def test_all_sessions_of_a_subject_are_ended(api: Api) -> None:
    pairs = [api.admin_session() for _ in range(3)]
    other = api.admin_session(subject="user-43")
    assert api.delete("/admin/sessions?subject=user-42", bearer=api.api_key).json() == {"ended": 3}
    assert api.delete("/admin/sessions?subject=user-42", bearer=api.api_key).json() == {"ended": 0}
    refused(api.refresh(pairs[0]["refresh_token"]), 400, "invalid_grant", "revoked")
    assert api.refresh(other["refresh_token"]).status_code == 200


@pytest.mark.parametrize("key", [None, "rubbish", "tnk1_rubbish", "tnk1_" + "A" * 43])
def test_without_an_api_key_nothing_is_told_and_nothing_changes(api: Api, key: str | None) -> None:
    pair = api.admin_session()
    how: dict[str, Any] = {} if key is None else {"bearer": key}
    for method, path in (
        ("POST", "/admin/sessions"),
        ("GET", "/admin/sessions?subject=user-42"),
        ("GET", "/admin/audit?subject=user-42"),
        ("DELETE", "/admin/sessions?subject=user-42"),
        ("DELETE", f"/admin/sessions/{pair['session_id']}"),
    ):
        body = {"json": {"subject": "user-42"}} if method == "POST" else {}
        refused(api.request(method, path, **body, **how), 401, "invalid_client")
    assert len(api.get("/admin/sessions?subject=user-42", bearer=api.api_key).json()["sessions"]) == 1


def test_an_access_token_is_no_api_key(api: Api) -> None:
    refused(api.get("/admin/sessions?subject=ada", bearer=api.login()["access_token"]), 401, "invalid_client")


def test_an_api_key_can_be_forgotten_and_is_unique_by_name(api: Api) -> None:
    with pytest.raises(ConfigurationError, match="already"):
        api.run(api.auth.run(add_api_key("backend", api.auth.issuer.random)))
    assert list(api.run(api.auth.run(list_api_keys())).values()) == ["backend"]
    assert api.run(api.auth.run(remove_api_key("backend")))
    assert not api.run(api.auth.run(remove_api_key("backend")))
    refused(api.get("/admin/sessions?subject=ada", bearer=api.api_key), 401, "invalid_client")


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 101, "a/b"])
def test_names_are_plain(api: Api, name: str) -> None:
    for make in (add_api_key(name, api.auth.issuer.random), add_client(name, api.auth.issuer.random, public=True)):
        with pytest.raises(ConfigurationError, match="letters, digits"):
            api.run(api.auth.run(make))


def test_the_applications_own_client_id_is_taken(api: Api) -> None:
    for taken in ("first-party", "public"):
        with pytest.raises(ConfigurationError, match="already"):
            api.run(api.auth.run(add_client(taken, api.auth.issuer.random, public=True)))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"subject": ""},
        {"subject": 42},
        {"subject": None},
        {"subject": ["user-42"]},
        {"subject": "x" * 256},
        {"subject": "a\nb"},
        {"subject": "user-42", "client_id": "stranger"},
        {"subject": "user-42", "client_id": 7},
        {"subject": "user-42", "scope": "a  b"},
        {"subject": "user-42", "scope": 'a"b'},
        {"subject": "user-42", "scope": ["read"]},
        {"subject": "user-42", "claims": ["roles"]},
        {"subject": "user-42", "claims": {"sub": "root"}},
        {"subject": "user-42", "claims": {"exp": 9999999999}},
        {"subject": "user-42", "device": {}},
    ],
)
def test_a_bad_request_makes_no_session(api: Api, body: dict[str, Any]) -> None:
    refused(api.post("/admin/sessions", json=body, bearer=api.api_key), 400, "invalid_request")
    assert api.get("/admin/sessions?subject=user-42", bearer=api.api_key).json() == {"sessions": []}


def test_a_subject_in_the_query_is_one_that_can_be(api: Api) -> None:
    refused(api.request("DELETE", "/admin/sessions", bearer=api.api_key), 400, "invalid_request")
    for method in ("GET", "DELETE"):
        for query in ("?subject=", "?subject=a&subject=b", "?subject=" + "x" * 256, "?subject=%ff"):
            refused(api.request(method, f"/admin/sessions{query}", bearer=api.api_key), 400, "invalid_request")
