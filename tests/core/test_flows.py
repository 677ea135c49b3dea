"""The flows with no store at all: exactly what each asks, what it tells, and in which order."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tenure import (
    Event,
    ForgedToken,
    InvalidGrant,
    InvalidRequest,
    LoginRefused,
    Policy,
    Session,
    SessionEnded,
    StolenTokenRefused,
    StoreUnavailable,
    WrongClient,
)
from tenure.core.calls import Advance, Audit, Create, Get, Revoke, RevokeSubject
from tenure.core.effects import Ask
from tenure.core.existing import end_all, end_by_token, end_session, is_session_id, look_up
from tenure.core.family import Head
from tenure.core.flows import login, refresh
from tenure.core.inputs import hash_of_attempt
from tenure.core.issuer import Issuer
from tenure.core.keys import KeyRing, generate_signing_key
from tenure.core.tokens import LAST_GENERATION, RefreshToken, bucket_of, nonce_hash, seal, unseal
from tests.conftest import AUDIENCE, ISSUER, SECRET, Clock

NOW = 1_800_000_000.0
SID = bytes.fromhex("ab" * 16)
AUDIT = Audit("", NOW + 30 * 86400)
H, P, N = b"h" * 16, b"p" * 16, b"n" * 16
KEY = "attempt-key-of-one-refresh"


class Flow:
    """A flow that is stepped by hand."""

    def __init__(self, flow: Any) -> None:
        self.flow, self.effect = flow, next(flow)

    def answer(self, value: Any = None) -> Any:
        self.effect = self.flow.send(value)
        return self.effect

    def result(self, value: Any = None) -> Any:
        with pytest.raises(StopIteration) as finished:
            self.flow.send(value)
        return finished.value.value

    def fails(self, value: Any, kind: type[Exception], message: str) -> Any:
        with pytest.raises(kind) as failed:
            self.flow.send(value)
        assert str(failed.value) == message
        return failed.value


@pytest.fixture
def numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def issuer(clock: Clock, numbers: Iterator[int]) -> Issuer:
    made = Issuer(
        url=ISSUER,
        audience=AUDIENCE,
        policy=Policy(leeway=0),
        secret=SECRET,
        fallbacks=(),
        algorithm="ES256",
        claims=None,
        now=clock,
        random=lambda length: bytes([next(numbers)]) * length,
    )
    made.use_ring(KeyRing((generate_signing_key("ES256", 0, 0),)), ())
    return made


def session(head: Head | None = None, **changes: Any) -> Session:
    made = Session(
        id=SID.hex(),
        subject="user-42",
        client_id="app",
        scope="read write",
        claims={},
        device="",
        created_at=NOW,
        expires_at=NOW + 100,
        ends_at=NOW + 1000,
        head=head or Head(4, nonce_hash(SID, P), None, NOW - 60),
    )
    return replace(made, **changes)


def token(issuer: Issuer, generation: int = 5, **nonces: bytes) -> str:
    """By default, the child of the head that `session` has."""
    parts = {"grandparent": bytes(16), "parent": P, "nonce": N, **nonces}
    return seal(RefreshToken(SID, generation, **parts), issuer.keys.tag)


def event(kind: Any, **details: Any) -> Event:
    return Event(kind, NOW, SID.hex(), "user-42", "app", **details)


def test_login_makes_one_row_and_its_first_token(issuer: Issuer) -> None:
    flow = Flow(login(issuer, "user-42", claims={"a": 1}, device="phone", client_id="app", scope="read"))
    create = flow.effect
    assert isinstance(create, Create)
    sid = bucket_of("user-42") + b"\x01" * 14
    assert create == Create(
        Session(
            id=sid.hex(), subject="user-42", client_id="app", scope="read", claims={"a": 1}, device="phone",
            created_at=NOW, expires_at=NOW + 14 * 86400, ends_at=NOW + 90 * 86400,
            head=Head(0, nonce_hash(sid, b"\x02" * 16), None, NOW), idle_ttl=14 * 86400.0,
        ),
        None,
        True,
        AUDIT,
    )  # fmt: skip
    assert flow.answer(()) == Event("logged_in", NOW, sid.hex(), "user-42", "app")
    pair = flow.result()
    first = unseal(pair.refresh_token, issuer.tag_keys)
    assert first == RefreshToken(sid, 1, bytes(16), b"\x02" * 16, b"\x03" * 16)


def test_a_login_that_makes_room_tells_of_each_ended_session(issuer: Issuer) -> None:
    flow = Flow(login(issuer, "user-42", claims={}, device="", client_id="app", scope=""))
    told = [flow.answer(("01" * 16, "02" * 16)), flow.answer(), flow.answer()]
    assert told[:2] == [
        Event("revoked", NOW, ended, "user-42", reason="session_limit", by="policy") for ended in ("01" * 16, "02" * 16)
    ]
    assert told[2].kind == "logged_in"


def test_a_login_for_an_account_that_is_gone_makes_nothing(issuer: Issuer) -> None:
    issuer.claims = lambda session: None
    flow = Flow(login(issuer, "user-42", claims={}, device="", client_id="app", scope=""))
    assert isinstance(flow.effect, Ask)
    flow.fails(None, LoginRefused, "The account no longer exists.")


@pytest.mark.parametrize("scope", [" ", "a  b", "a\n", 'a"b', "é", "x" * 1001])
def test_a_login_with_a_malformed_scope_asks_nothing(issuer: Issuer, scope: str) -> None:
    with pytest.raises(InvalidRequest, match="scope is a list of names"):
        next(login(issuer, "user-42", claims={}, device="", client_id="app", scope=scope))


def test_a_refresh_is_one_compare_and_set(issuer: Issuer) -> None:
    flow = Flow(refresh(issuer, token(issuer), attempt=KEY, client_id="app"))
    head = Head(5, nonce_hash(SID, N), hash_of_attempt(KEY), NOW)
    assert flow.effect == Advance(SID.hex(), "app", 4, nonce_hash(SID, P), head, NOW + 14 * 86400)
    moved = session(head)
    assert flow.answer(moved) == event("refreshed", generation=5)
    pair = flow.result()
    assert unseal(pair.refresh_token, issuer.tag_keys) == RefreshToken(SID, 6, P, N, b"\x01" * 16)
    assert (pair.session_id, pair.subject, pair.scope) == (SID.hex(), "user-42", "read write")


def test_a_narrowed_refresh_reads_first(issuer: Issuer) -> None:
    for scope in ("read", "write read"):
        flow = Flow(refresh(issuer, token(issuer), client_id="app", scope=scope))
        assert flow.effect == Get(SID.hex())
        advance = flow.answer(session())
        assert (advance.expected_generation, advance.expected_hash) == (4, nonce_hash(SID, P))
        flow.answer(session(advance.head))
        assert flow.result().scope == scope


def test_a_retry_writes_nothing(issuer: Issuer) -> None:
    head = Head(5, nonce_hash(SID, N), hash_of_attempt(KEY), NOW - 3600)
    flow = Flow(refresh(issuer, token(issuer), attempt=KEY, client_id="app"))
    assert flow.answer(None) == Get(SID.hex())
    assert flow.answer(session(head)) == event("retried", generation=5)
    assert flow.result().refresh_token.startswith("tnr1_")


def test_a_rollback_moves_the_head_that_was_read_and_keeps_the_attempt_key(issuer: Issuer) -> None:
    old = Head(3, nonce_hash(SID, H), None, NOW - 60)
    flow = Flow(refresh(issuer, token(issuer, grandparent=H), attempt=KEY, client_id="app"))
    flow.answer(None)
    advance = flow.answer(session(old))
    assert (advance.expected_generation, advance.expected_hash) == (3, nonce_hash(SID, H))
    assert advance.head == Head(5, nonce_hash(SID, N), hash_of_attempt(KEY), NOW)
    assert issuer.doubts_store
    assert flow.answer(session(advance.head)) == event("rolled_back", generation=5)


def test_reuse_is_told_and_ends_the_session(issuer: Issuer) -> None:
    flow = Flow(refresh(issuer, token(issuer, generation=3), client_id="app"))
    flow.answer(None)
    assert flow.answer(session()) == event("reuse_detected", generation=3)
    assert flow.answer() == Revoke(SID.hex(), NOW, "reuse_detected", "policy", AUDIT)
    assert flow.answer(session()) == event("revoked", reason="reuse_detected", by="policy")
    ended = flow.fails(
        None,
        SessionEnded,
        "An old refresh token was presented, so that this session was ended for safety. Log in again.",
    )
    assert ended.reason == "reuse_detected"


def test_an_expired_session_is_told(issuer: Issuer) -> None:
    flow = Flow(refresh(issuer, token(issuer), client_id="app"))
    flow.answer(None)
    assert flow.answer(session(expires_at=NOW)) == event("expired", generation=5)
    assert flow.fails(None, SessionEnded, "The session has expired. Log in again.").reason == "expired"


def test_the_head_that_keeps_moving_is_given_up(issuer: Issuer) -> None:
    flow = Flow(refresh(issuer, token(issuer), client_id="app"))
    for _ in range(8):
        assert isinstance(flow.answer(None), Get)
        assert isinstance(flow.answer(session()), Advance)
    flow.fails(None, StoreUnavailable, "Too many refreshes of this session at once. Try again shortly.")


def test_the_last_generation_is_the_end(issuer: Issuer) -> None:
    with pytest.raises(SessionEnded) as ended:
        next(refresh(issuer, token(issuer, generation=LAST_GENERATION), client_id="app"))
    assert ended.value.reason == "expired"
    assert isinstance(next(refresh(issuer, token(issuer, generation=LAST_GENERATION - 1), client_id="app")), Advance)


@pytest.mark.asvs("7.4.2")
def test_an_account_that_is_gone_ends_its_session(issuer: Issuer) -> None:
    issuer.claims = lambda session: None
    flow = Flow(refresh(issuer, token(issuer), client_id="app"))
    moved = session(Head(5, nonce_hash(SID, N), None, NOW))
    assert flow.answer(moved) == Ask(issuer.claims, (moved,))
    assert flow.answer(None) == Revoke(SID.hex(), NOW, "account_gone", "application", AUDIT)
    assert flow.answer(moved) == event("revoked", reason="account_gone", by="application")
    assert flow.fails(None, SessionEnded, "The session was ended. Log in again.").reason == "revoked"


def test_a_revocation_that_the_store_has_lost_is_made_again(issuer: Issuer) -> None:
    issuer.heard_revoked(SID.hex(), NOW)
    flow = Flow(refresh(issuer, token(issuer), client_id="app"))
    moved = session(Head(5, nonce_hash(SID, N), None, NOW))
    assert flow.answer(moved) == Revoke(SID.hex(), NOW, "revocation_lost", "policy", AUDIT)
    assert flow.answer(moved) == event("revoked", reason="revocation_lost", by="policy")
    assert flow.fails(None, SessionEnded, "The session was ended. Log in again.").reason == "revoked"
    assert issuer.doubts_store


def test_a_forged_token_is_told_and_asks_nothing(issuer: Issuer) -> None:
    for forged in (
        refresh(issuer, "rubbish"),
        look_up(issuer, "rubbish"),
        end_by_token(issuer, "rubbish", client_id=None, reason="x", by="y"),
    ):
        flow = Flow(forged)
        assert flow.effect == Event("forged_token_refused", NOW)
        flow.fails(None, ForgedToken, "This is not a refresh token of this service. Log in again.")


def test_ending_a_session(issuer: Issuer) -> None:
    flow = Flow(end_session(issuer, SID.hex(), reason="lost", by="owner"))
    assert flow.effect == Revoke(SID.hex(), NOW, "lost", "owner", AUDIT)
    assert flow.answer(session()) == event("revoked", reason="lost", by="owner")
    assert flow.result() is True
    assert Flow(end_session(issuer, SID.hex(), reason="lost", by="owner")).result(None) is False


def test_ending_all_sessions_of_a_subject(issuer: Issuer) -> None:
    flow = Flow(end_all(issuer, "user-42", except_id="03" * 16, reason="lost", by="owner"))
    assert flow.effect == RevokeSubject("user-42", NOW, "lost", "owner", "03" * 16, AUDIT)
    told = [flow.answer(("01" * 16, "02" * 16)), flow.answer()]
    assert told == [Event("revoked", NOW, one, "user-42", reason="lost", by="owner") for one in ("01" * 16, "02" * 16)]
    assert flow.result() == 2


def test_ending_by_token_asks_whose_it_is_and_what_it_is_bound_to(issuer: Issuer) -> None:
    ended = {"reason": "logged_out", "by": "owner"}
    revoke = Revoke(SID.hex(), NOW, "logged_out", "owner", AUDIT)
    old = token(issuer, generation=1)
    flow = Flow(end_by_token(issuer, old, client_id=None, **ended))
    assert flow.effect == Get(SID.hex())
    assert flow.answer(session()) == revoke
    flow.answer(session())
    assert flow.result() is True
    flow = Flow(end_by_token(issuer, old, client_id=None, **ended))
    assert flow.answer(session(binding="dpop:key")) == event("stolen_token_refused", bound="key")
    flow.fails(None, StolenTokenRefused, StolenTokenRefused.message)
    flow = Flow(end_by_token(issuer, old, client_id=None, binding="dpop:key", **ended))
    assert flow.answer(session(binding="dpop:key")) == revoke
    for found in (session(), None):
        flow = Flow(end_by_token(issuer, old, client_id="app", **ended))
        assert flow.effect == Get(SID.hex())
        assert flow.answer(found) == revoke
        assert flow.result(None) is False
    flow = Flow(end_by_token(issuer, old, client_id="other", **ended))
    flow.fails(session(), WrongClient, "This refresh token was issued to another client.")


@pytest.mark.parametrize("found", [None, session(expires_at=NOW), session(revoked_at=NOW), session(client_id="x")])
def test_looking_up_what_is_not_active(issuer: Issuer, found: Session | None) -> None:
    flow = Flow(look_up(issuer, token(issuer), client_id="app"))
    assert flow.effect == Get(SID.hex())
    flow.fails(found, InvalidGrant, "The refresh token is not active.")


def test_looking_up_what_is_out_of_line(issuer: Issuer) -> None:
    for generation in (1, 4, 9):
        flow = Flow(look_up(issuer, token(issuer, generation=generation)))
        flow.fails(session(), InvalidGrant, "The refresh token is not active.")
    assert Flow(look_up(issuer, token(issuer))).result(session()) == session()


def test_the_form_of_a_session_id() -> None:
    assert is_session_id("0123456789abcdef" * 2)
    for other in ("X" * 32, "0123456789ABCDEF" * 2, "0" * 31, "0" * 33, ""):
        assert not is_session_id(other)
