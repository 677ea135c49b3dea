"""private_key_jwt (RFC 7523), and the scope that a client may be granted."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tenure.http.client_authentication import ASSERTION_TYPE
from tenure.http.clients import add_client
from tests.dpop import Key
from tests.service.conftest import ORIGIN, Answer, Api, refused
from tests.service.process import tenure

KEY, OTHER = Key(), Key("Ed25519")
NUMBERS = itertools.count()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    made = make_api()
    random = made.auth.issuer.random
    made.run(made.auth.run(add_client("signer", random, public=False, keys=[KEY.jwk, OTHER.jwk])))
    made.run(made.auth.run(add_client("reader", random, public=True, scope="read list")))
    return made


def assertion(api: Api, key: Key = KEY, header: dict[str, Any] | None = None, **changes: Any) -> str:
    now = int(api.clock.now)
    said = {"iss": "signer", "sub": "signer", "aud": ORIGIN, "jti": f"once-{next(NUMBERS)}", "exp": now + 60}
    return key.jws({"alg": key.algorithm, **(header or {})}, {**said, **changes})


def refresh(api: Api, signed: str | None, token: str | None = None, **more: str) -> Answer:
    given = {} if signed is None else {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
    token = token or api.admin_session(client_id="signer")["refresh_token"]
    return api.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token, **given, **more})


@pytest.mark.asvs("10.4.16")
@pytest.mark.parametrize("key", [KEY, OTHER])
@pytest.mark.parametrize("audience", [ORIGIN, f"{ORIGIN}/oauth/token", [ORIGIN, "https://elsewhere.example"]])
def test_a_client_proves_itself_by_its_key(api: Api, key: Key, audience: Any) -> None:
    assert refresh(api, assertion(api, key, aud=audience)).status_code == 200
    assert refresh(api, assertion(api, key, aud=audience), client_id="signer").status_code == 200


def test_it_may_introspect_and_revoke(api: Api) -> None:
    pair = api.admin_session(client_id="signer")
    for path, expected in (("introspect", {"active": True}), ("revoke", {}), ("introspect", {"active": False})):
        data = {
            "token": pair["refresh_token"],
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion(api),
        }
        answer = api.post(f"/oauth/{path}", data=data)
        assert answer.status_code == 200
        assert answer.json().get("active") == expected.get("active")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "public"}, {"iss": None}, {"sub": "public"}, {"sub": None}, {"sub": 5}, {"sub": "nobody"},
        {"aud": "https://elsewhere.example"}, {"aud": None}, {"aud": 5}, {"exp": None}, {"exp": "soon"},
        {"exp": 1}, {"exp": 9_999_999_999}, {"exp": True}, {"nbf": 9_999_999_999}, {"jti": None}, {"jti": 5},
        {"jti": ["a"]}, {"iat": 9_999_999_999},
    ],
)  # fmt: skip
def test_a_wrong_assertion_is_refused(api: Api, changes: dict[str, Any]) -> None:
    refused(refresh(api, assertion(api, **changes)), 401, "invalid_client")


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "HS256"}, {"alg": "RS256"}, {"alg": None}, {"crit": ["x"]}]
)
def test_a_wrong_header_is_refused(api: Api, header: dict[str, Any]) -> None:
    refused(refresh(api, assertion(api, header=header)), 401, "invalid_client")


@pytest.mark.parametrize("junk", ["", "x", "a.b.c", "x" * 5000, "é.é.é", "eyJhbGciOiJFUzI1NiJ9.W10.AA"])
def test_junk_is_refused(api: Api, junk: str) -> None:
    refused(refresh(api, junk), 401, "invalid_client")


def test_another_key_is_refused(api: Api) -> None:
    refused(refresh(api, assertion(api, Key())), 401, "invalid_client")


def test_an_assertion_is_accepted_once(api: Api) -> None:
    signed = assertion(api)
    assert refresh(api, signed).status_code == 200
    refused(refresh(api, signed), 401, "invalid_client")


def test_one_way_to_authenticate_is_enough(api: Api) -> None:
    token = api.admin_session(client_id="signer")["refresh_token"]
    refused(refresh(api, assertion(api), token, client_secret="x"), 400, "invalid_request")
    refused(refresh(api, assertion(api), token, client_assertion_type="jwt"), 400, "invalid_request")
    refused(refresh(api, assertion(api), token, client_id="public"), 400, "invalid_request")
    refused(refresh(api, None, token, client_id="signer"), 401, "invalid_client")
    refused(refresh(api, None, token, client_id="signer", client_secret="guess"), 401, "invalid_client")
    public = api.admin_session(client_id="public")["refresh_token"]
    refused(refresh(api, assertion(api, iss="public", sub="public"), public), 401, "invalid_client")
    assert refresh(api, assertion(api), token).status_code == 200  # nothing of all that has used it up


@pytest.mark.asvs("10.4.11")
def test_a_client_is_granted_no_more_than_its_scope(api: Api) -> None:
    assert api.admin_session(client_id="reader", scope="read")["scope"] == "read"
    assert "scope" not in api.admin_session(client_id="reader")
    body = {"subject": "user-42", "client_id": "reader", "scope": "read write"}
    refused(api.post("/admin/sessions", json=body, bearer=api.api_key), 400, "invalid_scope")


def test_keys_from_the_command_line(tmp_path: Path) -> None:
    private = generate_private_key(65537, 2048)
    pem = tmp_path / "key.pem"
    pem.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    jwk = tmp_path / "key.json"
    jwk.write_text(json.dumps({**KEY.jwk, "kid": "one"}))
    secret = tmp_path / "private.pem"
    secret.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    hidden = tmp_path / "private.json"
    hidden.write_text(json.dumps({**KEY.jwk, "d": KEY.d}))
    done = tenure(
        tmp_path, "clients", "add", "app", "--public-key", str(pem), "--public-key", str(jwk), "--scope", "read write"
    )
    assert done.stdout == "app is registered as a client with keys of its own.\n"
    listed = json.loads(tenure(tmp_path, "clients", "list", "--json").stdout)
    assert listed == [{"client_id": "app", "public": False, "keys": 2, "scope": "read write", "lifetime": "remembered"}]
    for wrong in (secret, hidden, Path(__file__)):
        failed = tenure(tmp_path, "clients", "add", "other", "--public-key", str(wrong))
        assert failed.returncode == 1
        assert "public" in failed.stderr
        assert "Traceback" not in failed.stderr
    failed = tenure(tmp_path, "clients", "add", "other", "--public", "--public-key", str(pem))
    assert "A public client has no keys" in failed.stderr
    failed = tenure(tmp_path, "clients", "add", "other", "--scope", 'no"quotes')
    assert failed.returncode == 1
