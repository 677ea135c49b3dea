"""For standard clients: RFC 6749 section 6, RFC 7009, RFC 7662, RFC 8414, and who a client is."""

import base64
from typing import Any
from urllib.parse import quote_plus

import pytest

from tenure.http.clients import find_client, list_clients, remove_client
from tests.conftest import Clock
from tests.service.conftest import ORIGIN, Answer, Api, refused


def basic(client_id: str, secret: str) -> dict[str, str]:
    credentials = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}


def token(api: Api, refresh_token: str, headers: dict[str, str] | None = None, **more: str) -> Answer:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **more}
    return api.post("/oauth/token", data=form, headers=headers or {})


def test_a_public_client_refreshes(api: Api) -> None:
    pair = api.admin_session(client_id="public", scope="read write")
    assert pair["scope"] == "read write"
    answer = token(api, pair["refresh_token"], client_id="public")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 600, "read write")
    assert api.get("/auth/me", bearer=body["access_token"]).json()["client_id"] == "public"
    refused(token(api, "rubbish", client_id="public"), 400, "invalid_grant", "unknown")
    third = token(api, body["refresh_token"], client_id="public").json()
    refused(token(api, pair["refresh_token"], client_id="public"), 400, "invalid_grant", "reuse_detected")
    refused(token(api, third["refresh_token"], client_id="public"), 400, "invalid_grant", "reuse_detected")


def test_the_applications_own_sessions_refresh_here_too(api: Api) -> None:
    assert token(api, api.login()["refresh_token"], client_id="first-party").status_code == 200


@pytest.mark.asvs("10.4.10")
def test_a_confidential_client_proves_itself_by_header_or_body(api: Api) -> None:
    pair = api.admin_session(client_id="confidential")
    first = token(api, pair["refresh_token"], basic("confidential", api.client_secret)).json()
    in_body = {"client_id": "confidential", "client_secret": api.client_secret}
    second = token(api, first["refresh_token"], **in_body).json()
    both = token(api, second["refresh_token"], basic("confidential", api.client_secret), **in_body)
    refused(both, 400, "invalid_request")
    named = token(api, second["refresh_token"], basic("confidential", api.client_secret), client_id="confidential")
    assert named.status_code == 200


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({}, {}),
        ({}, {"client_id": ""}),
        ({}, {"client_id": "confidential"}),
        ({}, {"client_id": "confidential", "client_secret": "wrong"}),
        ({}, {"client_id": "confidential", "client_secret": ""}),
        ({}, {"client_id": "public", "client_secret": "guess"}),
        ({}, {"client_id": "stranger"}),
        ({}, {"client_id": "'; DROP TABLE records; --"}),
        ({}, {"client_id": "é" * 200}),
        (basic("confidential", "wrong"), {}),
        (basic("stranger", "x"), {}),
        ({"Authorization": "Basic !!!"}, {"client_id": "public"}),
        ({"Authorization": "Basic /w=="}, {"client_id": "public"}),
        ({"Authorization": "Basic YWJj"}, {"client_id": "public"}),
    ],
)
@pytest.mark.asvs("10.4.10")
def test_who_is_no_client_is_refused_and_nothing_changes(
    api: Api, headers: dict[str, str], form: dict[str, str]
) -> None:
    pair = api.admin_session(client_id="confidential")
    for path, subject in (("token", "refresh_token"), ("revoke", "token"), ("introspect", "token")):
        more = {"grant_type": "refresh_token"} if path == "token" else {}
        answer = api.post(f"/oauth/{path}", data={subject: pair["refresh_token"], **more, **form}, headers=headers)
        refused(answer, 401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert token(api, pair["refresh_token"], basic("confidential", api.client_secret)).status_code == 200


def test_a_client_that_names_itself_differently_is_refused(api: Api) -> None:
    pair = api.admin_session(client_id="confidential")
    answer = token(api, pair["refresh_token"], basic("confidential", api.client_secret), client_id="public")
    refused(answer, 400, "invalid_request")


def test_a_refresh_token_works_only_for_its_client(api: Api) -> None:
    pair = api.admin_session(client_id="confidential")
    assert "another client" in refused(token(api, pair["refresh_token"], client_id="public"), 400, "invalid_grant")
    refused(api.refresh(pair["refresh_token"]), 400, "invalid_grant")
    assert token(api, pair["refresh_token"], basic("confidential", api.client_secret)).status_code == 200


def test_scope_may_narrow_and_never_widen(api: Api) -> None:
    pair = api.admin_session(client_id="public", scope="read write")
    narrowed = token(api, pair["refresh_token"], client_id="public", scope="read").json()
    assert narrowed["scope"] == "read"
    assert api.get("/auth/me", bearer=narrowed["access_token"]).json()["scope"] == "read"
    refused(token(api, narrowed["refresh_token"], client_id="public", scope="admin"), 400, "invalid_scope")
    assert token(api, narrowed["refresh_token"], client_id="public").json()["scope"] == "read write"


@pytest.mark.asvs("10.4.4")
def test_only_the_refresh_grant_is_offered(api: Api) -> None:
    for grant in ("password", "authorization_code", "client_credentials"):
        answer = api.post("/oauth/token", data={"grant_type": grant, "client_id": "public"})
        refused(answer, 400, "unsupported_grant_type")
    refused(api.post("/oauth/token", data={"client_id": "public"}), 400, "invalid_request")
    form = {"grant_type": "refresh_token", "client_id": "public"}
    refused(api.post("/oauth/token", data=form), 400, "invalid_request")


def test_the_attempt_key_counts_here_too(api: Api, clock: Clock) -> None:
    pair = api.admin_session(client_id="public")
    key = {"Idempotency-Key": "attempt-key-of-one-refresh"}
    token(api, pair["refresh_token"], key, client_id="public")
    clock.advance(3600)
    assert token(api, pair["refresh_token"], key, client_id="public").status_code == 200


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_revoking_either_token_ends_the_session(api: Api, kind: str) -> None:
    pair = api.admin_session(client_id="public")
    for _ in range(2):
        answer = api.post("/oauth/revoke", data={"token": pair[kind], "client_id": "public", "token_type_hint": "x"})
        assert (answer.status_code, answer.json()) == (200, {})
    refused(token(api, pair["refresh_token"], client_id="public"), 400, "invalid_grant", "revoked")
    refused(api.get("/auth/me", bearer=pair["access_token"]), 401, "invalid_token", "revoked")


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_nobody_revokes_another_clients_token(api: Api, kind: str) -> None:
    pair = api.admin_session(client_id="confidential")
    answer = api.post("/oauth/revoke", data={"token": pair[kind], "client_id": "public"})
    refused(answer, 400, "invalid_grant")
    assert token(api, pair["refresh_token"], basic("confidential", api.client_secret)).status_code == 200


def test_revoking_rubbish_is_no_error(api: Api) -> None:
    for rubbish in ("rubbish", "tnr1_rubbish", "a.b.c"):
        answer = api.post("/oauth/revoke", data={"token": rubbish, "client_id": "public"})
        assert answer.status_code == 200
    refused(api.post("/oauth/revoke", data={"client_id": "public"}), 400, "invalid_request")


def introspect(api: Api, subject: str, **how: Any) -> dict[str, Any]:
    how = how or {"headers": basic("confidential", api.client_secret)}
    answer = api.post("/oauth/introspect", data={"token": subject}, **how)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_introspection_of_an_access_token(api: Api, clock: Clock) -> None:
    pair = api.admin_session(client_id="public", scope="read")
    for how in ({}, {"bearer": api.api_key}):
        body = introspect(api, pair["access_token"], **how)
        assert (body["active"], body["token_type"], body["sub"], body["scope"]) == (True, "Bearer", "user-42", "read")
        assert (body["client_id"], body["sid"], body["iss"]) == ("public", pair["session_id"], ORIGIN)
    clock.advance(600)
    assert introspect(api, pair["access_token"]) == {"active": False}


def test_introspection_of_a_refresh_token(api: Api, clock: Clock) -> None:
    pair = api.admin_session(client_id="confidential", scope="read")
    body = introspect(api, pair["refresh_token"])
    assert body == {
        "active": True,
        "token_type": "refresh_token",
        "iss": ORIGIN,
        "sub": "user-42",
        "client_id": "confidential",
        "sid": pair["session_id"],
        "iat": int(clock.now),
        "exp": int(clock.now) + 14 * 86400,
        "scope": "read",
    }
    others = api.admin_session(client_id="public")
    assert introspect(api, others["refresh_token"]) == {"active": False}
    assert introspect(api, others["refresh_token"], bearer=api.api_key)["active"]


def test_what_was_revoked_is_not_active(api: Api) -> None:
    pair = api.admin_session(client_id="confidential")
    api.delete(f"/admin/sessions/{pair['session_id']}", bearer=api.api_key)
    for kind in ("access_token", "refresh_token"):
        assert introspect(api, pair[kind]) == {"active": False}
    for rubbish in ("rubbish", "tnr1_x", "a.b.c"):
        assert introspect(api, rubbish) == {"active": False}


def test_introspection_asks_the_store_and_not_only_the_memory(api: Api) -> None:
    """Another instance has ended the session, and this one has not heard of it yet."""
    from tenure.core.calls import Revoke

    pair = api.admin_session(client_id="confidential")
    api.store.run(Revoke(pair["session_id"], api.clock.now, "x", "y"))
    assert api.get("/auth/me", bearer=pair["access_token"]).status_code == 200
    assert introspect(api, pair["access_token"]) == {"active": False}


def test_a_public_client_may_not_introspect(api: Api) -> None:
    pair = api.admin_session(client_id="public")
    for form in ({"client_id": "public"}, {"client_id": "first-party"}):
        refused(api.post("/oauth/introspect", data={"token": pair["refresh_token"], **form}), 401, "invalid_client")


def test_a_removed_client_is_no_client(api: Api) -> None:
    pair = api.admin_session(client_id="public")
    api.clock.advance(1)
    assert api.run(api.auth.run(remove_client("public")))
    refused(token(api, pair["refresh_token"], client_id="public"), 401, "invalid_client")


def test_a_client_is_asked_of_the_store_once_a_second(api: Api) -> None:
    from tenure.core.calls import GetRecord

    def lookups() -> int:
        return sum(isinstance(call, GetRecord) and call.kind == "client" for call in api.store.asked)

    refresh_token = api.admin_session(client_id="public")["refresh_token"]
    before = lookups()
    for _ in range(3):
        refresh_token = token(api, refresh_token, client_id="public").json()["refresh_token"]
    assert lookups() == before + 1
    assert api.run(api.auth.run(remove_client("public")))
    refresh_token = token(api, refresh_token, client_id="public").json()["refresh_token"]
    api.clock.advance(1)
    refused(token(api, refresh_token, client_id="public"), 401, "invalid_client")
    api.clock.advance(-1)
    refused(token(api, refresh_token, client_id="public"), 401, "invalid_client")


def test_only_a_hash_of_a_secret_is_kept(api: Api) -> None:
    from tenure.core.calls import ListRecords

    kept = repr([api.store.run(ListRecords(kind)) for kind in ("client", "api_key", "account")])
    for secret in (api.client_secret, api.api_key, "correct horse battery"):
        assert secret not in kept
    client = api.run(api.auth.run(find_client("confidential")))
    assert client.secret_hash not in repr(client)
    assert [one.id for one in api.run(api.auth.run(list_clients()))] == ["confidential", "public"]


def test_the_metadata(api: Api) -> None:
    answer = api.get("/.well-known/oauth-authorization-server")
    assert answer.headers["cache-control"] == "public, max-age=300"
    body = answer.json()
    assert body["issuer"] == ORIGIN
    assert body["token_endpoint"] == f"{ORIGIN}/oauth/token"
    assert body["grant_types_supported"] == ["refresh_token"]
    for name in ("token_endpoint", "revocation_endpoint", "introspection_endpoint"):
        path = body[name].removeprefix(ORIGIN)
        assert api.post(path, data={"x": "y"}).status_code == 401
    keys = api.get(body["jwks_uri"].removeprefix(ORIGIN))
    assert keys.headers["access-control-allow-origin"] == "*"
    assert keys.json() == api.auth.jwks()


def test_health(api: Api) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    assert api.get("/readyz").json() == {"status": "ok"}
    api.store.close()
    assert api.get("/healthz").status_code == 200
    answer = api.get("/readyz")
    refused(answer, 503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "1"
    refused(api.refresh(api_token(api)), 503, "temporarily_unavailable")


def api_token(api: Api) -> str:
    from tenure.core.tokens import first_token, seal

    return seal(first_token(bytes(16), bytes(16), bytes(16)), api.auth.issuer.keys.tag)


def test_head_is_answered_where_get_is(api: Api) -> None:
    assert api.request("HEAD", "/healthz").status_code == 200
