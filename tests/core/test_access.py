"""Access tokens: what they say, and that no trick with a header or a key is believed."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from tenure import ConfigurationError, InvalidAccessToken, Policy, Tenure, Verifier
from tenure.core.access import Checker, VerifyingKey
from tests.conftest import AUDIENCE, ISSUER, Clock

ALGORITHMS = ["ES256", "Ed25519", "RS256", "HS256"]


def segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def header_of(token: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))


def payload_of(token: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def jws(header: dict[str, Any], payload: Any, algorithm: str, key: Key) -> str:
    """A JWT by the letter, whatever it says."""
    signing_input = f"{segment(header)}.{segment(payload)}"
    return f"{signing_input}.{segment(JWSRegistry.algorithms[algorithm].sign(signing_input.encode(), key))}"


@pytest.mark.asvs("9.2.4", "10.3.3")
def test_a_token_says_what_rfc_9068_wants(auth: Tenure, clock: Clock) -> None:
    pair = auth.login("user-42", claims={"roles": ["editor"]}, scope="read write")
    assert header_of(pair.access_token)["typ"] == "at+jwt"
    payload = payload_of(pair.access_token)
    assert payload.pop("jti") != payload_of(auth.login("user-42").access_token)["jti"]
    assert payload == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user-42",
        "iat": int(clock.now),
        "exp": int(clock.now) + 600,
        "auth_time": int(clock.now),
        "client_id": "first-party",
        "sid": pair.session_id,
        "scope": "read write",
        "roles": ["editor"],
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_signs_and_checks(make: Callable[..., Tenure], algorithm: str) -> None:
    auth = make(algorithm=algorithm)
    token = auth.login("user-42").access_token
    assert header_of(token)["alg"] == algorithm
    claims = auth.verify(token)
    assert (claims.subject, claims["iss"], claims.get("nothing", "default")) == ("user-42", ISSUER, "default")
    assert auth.verify(token) is claims  # remembered


def test_the_older_name_of_ed25519_is_accepted_in_checking(clock: Clock) -> None:
    key = OKPKey.generate_key("Ed25519")
    payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u", "sid": "s", "client_id": "c", "iat": 0, "exp": 2e9}
    jwk = {**key.as_dict(private=False), "kid": "k", "use": "sig"}
    for name in ("Ed25519", "EdDSA"):
        for stated in ({"alg": name}, {}):
            token = jws({"alg": name, "typ": "at+jwt", "kid": "k"}, payload, "Ed25519", key)
            verifier = Verifier({"keys": [{**jwk, **stated}]}, ISSUER, AUDIENCE, clock=clock)
            assert verifier.verify(token).subject == "u"


def test_an_unknown_algorithm_is_refused(make: Callable[..., Tenure]) -> None:
    with pytest.raises(ConfigurationError, match="one of ES256, Ed25519, RS256, HS256, not 'none'"):
        make(algorithm="none")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.asvs("9.1.1")
def test_a_changed_signature_is_refused(make: Callable[..., Tenure], algorithm: str) -> None:
    auth = make(algorithm=algorithm)
    head, body, signature = auth.login("user-42").access_token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[3] ^= 1
    for bad in (f"{head}.{body}.{segment(bytes(raw))}", f"{head}.{body}.", f"{head}.{body}.{segment(bytes(raw[:5]))}"):
        with pytest.raises(InvalidAccessToken):
            auth.verify(bad)


@pytest.mark.parametrize("cut", range(0, 300, 7))
def test_a_token_cut_anywhere_is_refused(auth: Tenure, cut: int) -> None:
    with pytest.raises(InvalidAccessToken):
        auth.verify(auth.login("user-42").access_token[:cut])


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "a" * 9000, "é.é.é", "\ud800", "e30.e30.e30", "[].[].[]", "1" * 99]
)
def test_what_is_no_jwt_is_refused(auth: Tenure, text: str) -> None:
    with pytest.raises(InvalidAccessToken):
        auth.verify(text)


@pytest.mark.asvs("9.1.2")
def test_alg_none_is_refused(auth: Tenure) -> None:
    good = auth.login("user-42").access_token
    for name in ("none", "None", "NONE", ""):
        head = segment({**header_of(good), "alg": name})
        for signature in ("", good.split(".")[2]):
            with pytest.raises(InvalidAccessToken):
                auth.verify(f"{head}.{good.split('.')[1]}.{signature}")


@pytest.mark.asvs("9.1.2")
def test_an_hmac_made_with_the_public_key_is_refused(make: Callable[..., Tenure]) -> None:
    for algorithm in ("ES256", "RS256"):
        auth = make(algorithm=algorithm, store="memory://")
        token = auth.login("user-42").access_token
        public = auth.jwks()["keys"][0]
        kty = {"ES256": ECKey, "RS256": RSAKey}[algorithm].import_key(public)
        for form in (json.dumps(public).encode(), kty.as_pem(private=False), kty.as_der(private=False)):
            signing_input = f"{segment({**header_of(token), 'alg': 'HS256'})}.{token.split('.')[1]}"
            signature = hmac.digest(form, signing_input.encode(), hashlib.sha256)
            with pytest.raises(InvalidAccessToken, match="algorithm is not its key's"):
                auth.verify(f"{signing_input}.{segment(signature)}")


def signed(auth: Tenure, *, header: dict[str, Any] | None = None, payload: dict[str, Any] | None = None) -> str:
    """A token of the deployment's own key, with changes to what it says."""
    good = auth.login("user-42").access_token
    key = auth.issuer.ring.keys[0]
    changed = {**header_of(good), **(header or {})}
    body = {**payload_of(good), **(payload or {})}
    headers = {name: value for name, value in changed.items() if value is not ...}
    claims = {name: value for name, value in body.items() if value is not ...}
    return jws(headers, claims, key.algorithm, key.jwk)


def test_the_forge_of_these_tests_works(auth: Tenure) -> None:
    assert auth.verify(signed(auth)).subject == "user-42"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"typ": "JWT"}, "type is not at.jwt"),
        ({"typ": ...}, "type is not at.jwt"),
        ({"typ": 7}, "type is not at.jwt"),
        ({"kid": "../../etc/passwd"}, "unknown key"),
        ({"kid": "' OR 1=1 --"}, "unknown key"),
        ({"kid": ...}, "names no key"),
        ({"kid": 5}, "names no key"),
        ({"kid": ["a"]}, "names no key"),
        ({"crit": ["exp"]}, "extensions"),
        ({"alg": "ES384"}, "algorithm is not its key's"),
        ({"alg": "EdDSA"}, "algorithm is not its key's"),
        ({"alg": ["ES256"]}, "algorithm is not its key's"),
    ],
)
@pytest.mark.asvs("9.2.2")
def test_a_wrong_header_is_refused_although_the_signature_is_right(
    auth: Tenure, header: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidAccessToken, match=why):
        auth.verify(signed(auth, header=header))


@pytest.mark.asvs("9.1.3")
def test_a_key_that_the_token_brings_along_is_not_used(auth: Tenure) -> None:
    good = auth.login("user-42").access_token
    key = ECKey.generate_key("P-256")
    for where in ({"jwk": key.as_dict(private=False)}, {"jku": "http://127.0.0.1/keys"}, {"x5u": "http://127.0.0.1/"}):
        for kid in (header_of(good)["kid"], "mine"):
            header = {"alg": "ES256", "typ": "at+jwt", "kid": kid, **where}
            with pytest.raises(InvalidAccessToken):
                auth.verify(jws(header, payload_of(good), "ES256", key))


@pytest.mark.parametrize("typ", ["AT+JWT", "application/at+jwt"])
def test_both_spellings_of_the_type_are_accepted(auth: Tenure, typ: str) -> None:
    assert auth.verify(signed(auth, header={"typ": typ})).subject == "user-42"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": ...}, "another issuer"),
        ({"aud": "other"}, "another audience"),
        ({"aud": ["other", "another"]}, "another audience"),
        ({"aud": ...}, "lacks required claims"),
        ({"sub": ...}, "lacks required claims"),
        ({"sid": ...}, "lacks required claims"),
        ({"client_id": ...}, "lacks required claims"),
        ({"exp": ...}, "lacks required claims"),
        ({"iat": ...}, "lacks required claims"),
        ({"exp": "soon"}, "wrong types"),
        ({"exp": None}, "wrong types"),
        ({"sid": 5}, "wrong types"),
        ({"exp": 1}, "has expired"),
    ],
)
@pytest.mark.asvs("9.2.3", "10.3.1")
def test_wrong_claims_are_refused_although_the_signature_is_right(
    auth: Tenure, payload: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidAccessToken, match=why):
        auth.verify(signed(auth, payload=payload))


def test_one_of_several_audiences_is_enough(auth: Tenure) -> None:
    assert auth.verify(signed(auth, payload={"aud": ["other", AUDIENCE]})).subject == "user-42"


def test_a_payload_that_is_no_object_is_refused(auth: Tenure) -> None:
    good = auth.login("user-42").access_token
    key = auth.issuer.ring.keys[0]
    for body in (b"[]", b"null", b"7", b"{", b"\xff", b"[" * 5000):
        with pytest.raises(InvalidAccessToken):
            auth.verify(jws(header_of(good), body, key.algorithm, key.jwk))


@pytest.mark.asvs("9.2.1")
def test_a_token_expires_to_the_second_and_also_from_the_cache(auth: Tenure, clock: Clock) -> None:
    token = auth.login("user-42").access_token
    clock.advance(599.9)
    auth.verify(token)
    clock.advance(0.1)
    with pytest.raises(InvalidAccessToken, match="has expired"):
        auth.verify(token)


def test_clock_skew_is_allowed_for(make: Callable[..., Tenure], clock: Clock) -> None:
    auth = make(policy=Policy(clock_skew=60))
    token = auth.login("user-42").access_token
    clock.advance(659)
    auth.verify(token)
    clock.advance(1)
    with pytest.raises(InvalidAccessToken):
        auth.verify(token)


@pytest.mark.asvs("7.3.2")
def test_an_access_token_never_outlives_its_session(make: Callable[..., Tenure], clock: Clock) -> None:
    auth = make(policy=Policy(access_ttl=100, idle_ttl=150, absolute_ttl=150, leeway=0))
    pair = auth.login("user-42")
    clock.advance(80)
    later = auth.refresh(pair.refresh_token)
    assert (later.expires_in, later.refresh_expires_in) == (70, 70)
    assert auth.verify(later.access_token).expires_at == auth.sessions("user-42")[0].ends_at


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "sid", "auth_time", "scope"])
def test_application_claims_cannot_shadow_the_tokens_own(auth: Tenure, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"can't set {name}"):
        auth.login("user-42", claims={name: "x"})


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"bytes", "\ud800"])
def test_application_claims_are_json(auth: Tenure, value: object) -> None:
    with pytest.raises(ConfigurationError, match="plain JSON"):
        auth.login("user-42", claims={"x": value})


def test_the_cache_is_bounded(make: Callable[..., Tenure]) -> None:
    auth = make()
    checker = Checker(ISSUER, AUDIENCE, auth.issuer.now, cache_size=3)
    checker.use_keys({key.kid: VerifyingKey(key.algorithm, key.jwk) for key in auth.issuer.ring.keys})
    tokens = [auth.login(f"user-{number}").access_token for number in range(5)]
    first = checker.check(tokens[0])
    assert checker.check(tokens[0]) is first
    for token in tokens[1:]:
        checker.check(token)
    assert checker.check(tokens[0]) is not first


def test_public_keys_can_be_read_by_others(make: Callable[..., Tenure]) -> None:
    for algorithm, kty in (("ES256", ECKey), ("Ed25519", OKPKey), ("RS256", RSAKey)):
        (jwk,) = make(algorithm=algorithm, store="memory://").jwks()["keys"]
        assert (jwk["alg"], jwk["use"]) == (algorithm, "sig")
        assert not {"d", "p", "q", "k"} & jwk.keys()
        assert kty.import_key(jwk).as_pem(private=False).startswith(b"-----BEGIN PUBLIC KEY")
    assert make(algorithm="HS256", store="memory://").jwks() == {"keys": []}
