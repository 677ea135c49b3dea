"""DPoP proofs: each point of RFC 9449 section 4.3, with its own error."""

import dataclasses
from typing import Any

import pytest

from tenure import Tenure
from tenure.core import dpop
from tenure.core.dpop import Proofs
from tenure.core.errors import InvalidProof, UseNonce
from tenure.core.proof_jwt import public_key
from tests.conftest import Clock
from tests.dpop import Key, b64

URL = "https://api.example.com/notes"
KEY = Key()


@pytest.fixture
def proofs(clock: Clock) -> Proofs:
    return Proofs(clock, (b"k" * 32, b"o" * 32))


def check(proofs: Proofs, proof: str, **asked: Any) -> str:
    return proofs.check(proof, **{"method": "GET", "urls": [URL], **asked})


@pytest.mark.parametrize("algorithm", ["ES256", "Ed25519", "EdDSA", "RS256"])
def test_a_good_proof_names_its_key(proofs: Proofs, clock: Clock, algorithm: str) -> None:
    key = Key(algorithm)
    assert check(proofs, key.proof("GET", URL, clock.now)) == key.thumbprint
    assert check(proofs, key.proof("GET", URL, clock.now)) == key.thumbprint  # the header is known by now
    nonce, token = proofs.nonce(), "an access token"
    full = key.proof("GET", URL, clock.now, nonce=nonce, access_token=token)
    assert check(proofs, full, access_token=token, with_nonce=True) == key.thumbprint


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"header": {"typ": None}}, "type (typ)"),
        ({"header": {"typ": "JWT"}}, "type (typ)"),
        ({"header": {"typ": 5}}, "type (typ)"),
        ({"header": {"alg": None}}, "(alg)"),
        ({"header": {"alg": "none"}}, "(alg)"),
        ({"header": {"alg": "HS256"}}, "(alg)"),
        ({"header": {"alg": "RS256"}}, "does not fit its algorithm"),
        ({"header": {"alg": ["ES256"]}}, "(alg)"),
        ({"header": {"jwk": None}}, "lacks its public key"),
        ({"header": {"jwk": "text"}}, "lacks its public key"),
        ({"header": {"jwk": {}}}, "does not fit its algorithm"),
        ({"header": {"jwk": {"kty": "oct", "k": "AAAA"}}}, "private key"),
        ({"header": {"jwk": {**KEY.jwk, "d": KEY.d}}}, "private key"),
        ({"header": {"jwk": {**KEY.jwk, "crv": "P-384"}}}, "does not fit its algorithm"),
        ({"header": {"jwk": {**KEY.jwk, "x": "AAAA"}}}, "does not fit its algorithm"),
        ({"header": {"jwk": {**KEY.jwk, "x": 5}}}, "lacks its public key"),
        ({"header": {"jwk": Key().jwk}}, "signature is wrong"),
        ({"header": {"crit": ["exp"]}}, "(crit)"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": 5}, "jti"),
        ({"jti": "x" * 600}, "jti"),
        ({"htm": None}, "method GET (htm)"),
        ({"htm": "POST"}, "method GET (htm)"),
        ({"htm": "get"}, "method GET (htm)"),
        ({"htu": None}, "(htu)"),
        ({"htu": 5}, "(htu)"),
        ({"htu": "https://api.example.com/other"}, "(htu)"),
        ({"htu": "http://api.example.com/notes"}, "(htu)"),
        ({"htu": "https://evil.example/notes"}, "(htu)"),
        ({"htu": "https://api.example.com:8443/notes"}, "(htu)"),
        ({"htu": "https://[/notes"}, "(htu)"),
        ({"iat": None}, "iat"),
        ({"iat": "now"}, "iat"),
        ({"iat": True}, "iat"),
        ({"iat": float("nan")}, "seconds off"),
    ],
)
def test_a_bad_proof_is_refused_by_name(proofs: Proofs, clock: Clock, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidProof) as refused:
        check(proofs, KEY.proof("GET", URL, clock.now, **changed))
    assert said in str(refused.value)
    assert refused.value.code == "invalid_dpop_proof"
    assert KEY.d not in str(refused.value)


@pytest.mark.parametrize("seconds", [-61, 61, 3600])
def test_a_proof_of_another_time_is_refused(proofs: Proofs, clock: Clock, seconds: float) -> None:
    with pytest.raises(InvalidProof, match="clock"):
        check(proofs, KEY.proof("GET", URL, clock.now + seconds))


@pytest.mark.parametrize("seconds", [-59, 59])
def test_clocks_may_differ_a_little(proofs: Proofs, clock: Clock, seconds: float) -> None:
    assert check(proofs, KEY.proof("GET", URL, clock.now + seconds)) == KEY.thumbprint


@pytest.mark.parametrize(
    "url",
    [
        "HTTPS://API.example.com/notes",
        "https://api.example.com:443/notes",
        "https://api.example.com/notes?page=2",
        "https://api.example.com/notes#top",
        "https://api.example.com/%6eotes",
    ],
)
def test_an_address_may_be_spelled_in_several_ways(proofs: Proofs, clock: Clock, url: str) -> None:
    assert check(proofs, KEY.proof("GET", url, clock.now)) == KEY.thumbprint


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c.d", "a.b.c", "é.é.é", "..", f"{b64(b'[]')}.{b64(b'{}')}.AAAA", "A" * 9000,
             f"{b64(b'{' * 3000)}.e30.AAAA", f"{b64(b'[' * 3000)}.e30.AAAA"]
)  # fmt: skip
def test_what_is_no_jwt_is_refused(proofs: Proofs, text: str) -> None:
    with pytest.raises(InvalidProof):
        check(proofs, text)


def test_two_proofs_in_one_request_are_refused(proofs: Proofs, clock: Clock) -> None:
    one, other = KEY.proof("GET", URL, clock.now), KEY.proof("GET", URL, clock.now)
    with pytest.raises(InvalidProof, match="more than one"):
        check(proofs, f"{one}, {other}")


def test_a_changed_payload_is_refused(proofs: Proofs, clock: Clock) -> None:
    header, _, signature = KEY.proof("GET", URL, clock.now).split(".")
    payload = KEY.proof("GET", URL, clock.now).split(".")[1]
    with pytest.raises(InvalidProof, match="signature"):
        check(proofs, f"{header}.{payload}.{signature}")


def test_a_proof_is_good_once(proofs: Proofs, clock: Clock) -> None:
    proof = KEY.proof("GET", URL, clock.now)
    check(proofs, proof)
    for _ in range(2):
        with pytest.raises(InvalidProof, match="used before"):
            check(proofs, proof)
        clock.advance(30)
    clock.advance(1000)
    with pytest.raises(InvalidProof, match="clock"):  # it is forgotten, but too old
        check(proofs, proof)
    check(proofs, KEY.proof("GET", URL, clock.now))
    assert [len(seen) for seen in proofs._seen.values()] == [1]


def test_what_is_remembered_is_bounded(proofs: Proofs, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dpop, "REMEMBERED", 5)
    monkeypatch.setattr(dpop, "_KNOWN_KEYS", 5)
    for _ in range(9):
        check(proofs, Key().proof("GET", URL, clock.now))
    assert ([len(seen) for seen in proofs._seen.values()], len(proofs._keys)) == ([5], 5)


def test_the_access_token_is_part_of_it(proofs: Proofs, clock: Clock) -> None:
    for proof in (KEY.proof("GET", URL, clock.now), KEY.proof("GET", URL, clock.now, access_token="other")):
        with pytest.raises(InvalidProof, match="ath"):
            check(proofs, proof, access_token="mine")


def test_a_nonce_is_asked_for_and_lasts_two_steps(proofs: Proofs, clock: Clock) -> None:
    for wrong in (None, "", "AAAA", 5, proofs.nonce()[:-2] + "AA"):
        with pytest.raises(UseNonce) as asked:
            check(proofs, KEY.proof("GET", URL, clock.now, nonce=wrong), with_nonce=True)
        assert asked.value.code == "use_dpop_nonce"
        assert asked.value.nonce == proofs.nonce()
    nonce = proofs.nonce()
    for _ in range(2):
        assert check(proofs, KEY.proof("GET", URL, clock.now, nonce=nonce), with_nonce=True)
        clock.advance(dpop.NONCE_SECONDS)
    with pytest.raises(UseNonce):
        check(proofs, KEY.proof("GET", URL, clock.now, nonce=nonce), with_nonce=True)


def test_with_a_nonce_a_device_may_have_any_clock(proofs: Proofs, clock: Clock) -> None:
    """RFC 9449 section 11.1: the nonce says when the proof was made."""
    for off in (-86400, 10 * 365 * 86400):
        proof = KEY.proof("GET", URL, clock.now + off, nonce=proofs.nonce())
        assert check(proofs, proof, with_nonce=True) == KEY.thumbprint
        clock.advance(dpop.NONCE_SECONDS)
        with pytest.raises(InvalidProof, match="used before"):
            check(proofs, proof, with_nonce=True)


def test_instances_share_nonces_by_the_secret(clock: Clock) -> None:
    """Also while the secret is changed: the older one's are accepted."""
    settings = {"store": "memory://", "issuer": "https://api.example.com", "audience": "api", "clock": clock}
    with Tenure(secret="a" * 32, **settings) as one, Tenure(secret="b" * 32, fallbacks=["a" * 32], **settings) as other:
        proof = KEY.proof("GET", URL, clock.now, nonce=one.proofs.nonce())
        assert check(other.proofs, proof, with_nonce=True) == KEY.thumbprint
        with pytest.raises(UseNonce):
            check(one.proofs, KEY.proof("GET", URL, clock.now, nonce=other.proofs.nonce()), with_nonce=True)


def test_a_thumbprint_is_that_of_the_rfc() -> None:
    """RFC 9449 section 4.1 and 6.1: the key of its examples has this thumbprint."""
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    }
    assert public_key(jwk, "ES256").thumbprint == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def test_a_short_rsa_key_is_refused() -> None:
    jwk = {"kty": "RSA", "n": b64(b"\xff" * 128), "e": "AQAB"}
    with pytest.raises(InvalidProof, match="2048"):
        public_key(jwk, "RS256")


def test_keys_of_the_proofs_are_not_of_the_store(clock: Clock) -> None:
    with Tenure("memory://", secret="a" * 32, issuer="https://a.example", audience="a", clock=clock) as auth:
        values = dataclasses.astuple(auth.issuer.keys)
    assert len(set(values)) == len(values) == 4
