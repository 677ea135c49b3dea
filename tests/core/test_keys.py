"""One secret, what is derived of it, and the ring of signing keys: published, signing, checking, dropped."""

import json
import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from tenure import ConfigurationError, InvalidAccessToken, Policy, Tenure
from tenure.core.calls import DeleteRecord, ListRecords, PutRecord
from tenure.core.keys import DerivedKeys, KeyRing, generate_signing_key, import_jwk, unwrap, wrap
from tenure.driving.upkeep import keep_ring, rotate_ring
from tests.conftest import Clock

DAY, HOUR = 86400.0, 3600.0


def test_derived_keys_differ_by_use_and_by_secret() -> None:
    one, other = DerivedKeys.of("a" * 32), DerivedKeys.of("b" * 32)
    assert len({one.tag, one.wrap, other.tag, other.wrap}) == 4
    assert {len(key) for key in (one.tag, one.wrap)} == {32}
    assert DerivedKeys.of(b"a" * 32) == one


def test_derived_keys_never_change() -> None:
    """A change here would log everybody out."""
    keys = DerivedKeys.of("a" * 32)
    assert keys.tag.hex().startswith("3ac5d82cb6885cd1")


def test_a_short_secret_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError, match="has 31 bytes; at least 32") as refused:
        DerivedKeys.of("hunter2" + "x" * 24)
    assert "hunter2" not in str(refused.value)


def test_sessions_of_one_subject_share_a_bucket(auth: Tenure) -> None:
    ids = [auth.login("user-42").session_id for _ in range(3)]
    assert len({session_id[:4] for session_id in ids}) == 1
    assert len({session_id[4:] for session_id in ids}) == 3
    assert auth.login("user-43").session_id[:4] != ids[0][:4]
    assert ids[0].startswith("fc5f")  # a change here would part a subject's sessions in a sharded store


@pytest.mark.parametrize("algorithm", ["ES256", "Ed25519", "RS256", "HS256"])
def test_a_signing_key_is_kept_encrypted_and_bound_to_its_record(algorithm: str) -> None:
    key = generate_signing_key(algorithm, 100.0, 200.0)
    record = wrap(key, b"w" * 32, os.urandom)
    assert (key.jwk.as_dict(private=True).get("d") or key.jwk.as_dict(private=True)["k"]) not in record
    opened = unwrap(record, [b"x" * 32, b"w" * 32])
    assert opened is not None
    assert (opened.kid, opened.algorithm, opened.created_at, opened.signs_from) == (key.kid, algorithm, 100.0, 200.0)
    assert opened.jwk.as_dict(private=True) == key.jwk.as_dict(private=True)
    assert unwrap(record, [b"x" * 32]) is None
    assert unwrap(json.dumps({**json.loads(record), "alg": "none"}), [b"w" * 32]) is None


def test_a_key_never_shows_itself() -> None:
    key = generate_signing_key("ES256", 0, 0)
    assert key.jwk.as_dict(private=True)["d"] not in repr(key)
    assert "tag" not in repr(DerivedKeys.of("a" * 32))


def test_a_symmetric_keys_id_says_nothing_of_the_key() -> None:
    key = generate_signing_key("HS256", 0, 0)
    assert key.kid != key.jwk.thumbprint()
    assert len(key.kid) == 22


def test_an_unknown_key_type_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown key type"):
        import_jwk({"kty": "magic"})


def ring_of(*starts: float) -> KeyRing:
    base = generate_signing_key("ES256", 0, 0)
    return KeyRing.of([replace(base, kid=f"k{n}", signs_from=start) for n, start in reversed(list(enumerate(starts)))])


def test_the_newest_key_that_has_begun_signs() -> None:
    ring = ring_of(100.0, 200.0, 300.0)
    signer_at = {now: ring.signer(now).kid for now in (50.0, 100.0, 199.9, 200.0, 299.0, 300.0, 900.0)}
    assert signer_at == {50.0: "k0", 100.0: "k0", 199.9: "k0", 200.0: "k1", 299.0: "k1", 300.0: "k2", 900.0: "k2"}


def test_a_key_is_dropped_once_its_last_token_has_expired() -> None:
    policy = Policy(access_ttl=600, clock_skew=10, signing_key_prepublish=HOUR)
    ring = ring_of(0.0, 10_000.0)
    last = 10_000.0 + 600 + 10 + HOUR
    assert ring.dropped(last, policy) == ()
    assert [key.kid for key in ring.dropped(last + 1, policy)] == ["k0"]


def test_a_successor_is_due_before_the_key_has_aged() -> None:
    policy = Policy(signing_key_ttl=30 * DAY, signing_key_prepublish=HOUR)
    ring = ring_of(0.0)
    assert ring.successor_due(30 * DAY - HOUR - 1, policy, "ES256") is None
    assert ring.successor_due(30 * DAY - HOUR, policy, "ES256") == 30 * DAY
    assert ring.successor_due(40 * DAY, policy, "ES256") == 40 * DAY + HOUR
    assert ring.successor_due(5.0, policy, "RS256") == 5.0 + HOUR
    assert KeyRing().successor_due(7.0, policy, "ES256") == 7.0


def keep(auth: Tenure) -> list[str]:
    auth.run(keep_ring(auth.issuer))
    return [key["kid"] for key in auth.jwks()["keys"]]


def test_a_keys_life(auth: Tenure, clock: Clock) -> None:
    (first,) = keep(auth)
    token = auth.login("user-42").access_token
    clock.advance(30 * DAY - HOUR)
    assert keep(auth)[0] == first
    assert len(keep(auth)) == 2  # published
    newest = keep(auth)[1]
    assert auth.issuer.ring.signer(clock.now).kid == first
    token = auth.login("user-42").access_token
    clock.advance(HOUR)
    assert auth.issuer.ring.signer(clock.now).kid == newest  # signs
    clock.now -= 1
    token = auth.login("user-42").access_token
    clock.advance(300)
    keep(auth)
    assert auth.verify(token).subject == "user-42"  # the old one still checks
    clock.advance(HOUR + 600)
    assert keep(auth) == [newest]  # dropped


def test_rotation_by_command_publishes_first(auth: Tenure, clock: Clock) -> None:
    (first,) = keep(auth)
    made = auth.run(rotate_ring(auth.issuer))
    assert keep(auth) == [first, made.kid]
    assert auth.issuer.ring.signer(clock.now).kid == first
    clock.advance(HOUR)
    assert auth.issuer.ring.signer(clock.now).kid == made.kid


def test_rotation_at_once_refuses_what_the_leaked_key_signed(auth: Tenure) -> None:
    pair = auth.login("user-42")
    made = auth.run(rotate_ring(auth.issuer, at_once=True))
    assert keep(auth) == [made.kid]
    with pytest.raises(InvalidAccessToken, match="unknown key"):
        auth.verify(pair.access_token)
    auth.verify(auth.refresh(pair.refresh_token).access_token)


def test_two_instances_share_the_ring(make: Callable[..., Tenure]) -> None:
    one = make()
    other = make(store=one.store)
    assert one.jwks() == other.jwks()
    assert other.verify(one.login("user-42").access_token).subject == "user-42"


def test_two_instances_that_make_a_key_at_once_make_one(make: Callable[..., Tenure]) -> None:
    one = make()
    other = make(store=one.store)
    records = one.store.run(ListRecords("signing_key"))
    for name, _ in records:
        one.store.run(DeleteRecord("signing_key", name))
    key = generate_signing_key("ES256", one.issuer.now(), one.issuer.now())
    assert one.store.run(PutRecord("signing_key", "000000001", wrap(key, one.issuer.keys.wrap, os.urandom)))
    assert not other.store.run(PutRecord("signing_key", "000000001", "too late"))
    assert keep(one) == keep(other) == [key.kid]


def test_another_secret_is_told_apart_and_a_fallback_is_accepted(make: Callable[..., Tenure]) -> None:
    one = make()
    pair = one.login("user-42")
    with pytest.raises(ConfigurationError, match="TENURE_SECRET_FALLBACKS"):
        make(store=one.store, secret="another-secret-of-at-least-32-bytes")
    changed = make(
        store=one.store,
        secret="another-secret-of-at-least-32-bytes",
        fallbacks=["correct-horse-battery-staple-0123456789"],
    )
    assert changed.verify(pair.access_token).subject == "user-42"
    assert changed.refresh(changed.refresh(pair.refresh_token).refresh_token).session_id == pair.session_id
