"""What an application holds in its hand: logging in, refreshing, ending, listing; blocking and with await alike."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tenure import (
    AsyncTenure,
    ConfigurationError,
    Event,
    ForgedToken,
    InvalidAccessToken,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    LoginRefused,
    Policy,
    Session,
    SessionEnded,
    StoreUnavailable,
    Tenure,
    WrongClient,
)
from tenure.core import existing
from tenure.core.calls import Call, Get, Revoke
from tenure.core.existing import look_up
from tenure.stores.memory import MemoryStore
from tests.conftest import AUDIENCE, ISSUER, SECRET, Clock

DAY = 86400.0
KEY = "attempt-key-of-one-refresh"


def reason(auth: Tenure, token: str, **details: Any) -> str | None:
    with pytest.raises(InvalidGrant) as refused:
        auth.refresh(token, **details)
    return refused.value.reason


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def test_a_life_of_a_session(auth: Tenure, clock: Clock, events: list[Event]) -> None:
    pair = auth.login("user-42", claims={"roles": ["editor"]}, device="Firefox on Linux")
    assert (pair.expires_in, pair.refresh_expires_in, pair.subject) == (600, 14 * DAY, "user-42")
    clock.advance(3600)
    second = auth.refresh(pair.refresh_token)
    assert second.refresh_token != pair.refresh_token
    assert second.session_id == pair.session_id
    claims = auth.verify(second.access_token)
    assert (claims.subject, claims["roles"], claims.session_id) == ("user-42", ["editor"], pair.session_id)
    (session,) = auth.sessions("user-42")
    assert (session.device, session.created_at, session.last_used_at) == (
        "Firefox on Linux",
        clock.now - 3600,
        clock.now,
    )
    assert auth.revoke(claims.session_id)
    assert not auth.revoke(claims.session_id)
    assert auth.sessions("user-42") == ()
    assert reason(auth, second.refresh_token) == "revoked"
    assert kinds(events) == ["logged_in", "refreshed", "revoked"]
    assert (events[-1].reason, events[-1].by, events[-1].subject) == ("ended", "application", "user-42")


@pytest.mark.asvs("10.4.5")
def test_reuse_ends_the_family_and_nothing_else(auth: Tenure, events: list[Event]) -> None:
    phone, laptop = auth.login("user-42", device="phone"), auth.login("user-42", device="laptop")
    second = auth.refresh(phone.refresh_token)
    third = auth.refresh(second.refresh_token)
    assert reason(auth, phone.refresh_token) == "reuse_detected"
    assert reason(auth, third.refresh_token) == "reuse_detected"
    with pytest.raises(InvalidAccessToken, match="was ended"):
        auth.verify(third.access_token)
    assert auth.verify(laptop.access_token).session_id == laptop.session_id
    auth.refresh(laptop.refresh_token)
    assert [session.device for session in auth.sessions("user-42")] == ["laptop"]
    found = next(event for event in events if event.kind == "reuse_detected")
    assert (found.session_id, found.subject, found.generation) == (phone.session_id, "user-42", 1)
    assert next(event for event in events if event.kind == "revoked").by == "policy"


def test_the_audit_trail_says_who_came_from_where(auth: Tenure, clock: Clock, events: list[Event]) -> None:
    pair = auth.login("user-42", device="phone", address="203.0.113.7")
    auth.refresh(auth.refresh(pair.refresh_token, address="203.0.113.8").refresh_token)
    clock.advance(60)
    with pytest.raises(SessionEnded):
        auth.refresh(pair.refresh_token, address="198.51.100.9\n" + "x" * 1000)
    theft, login = auth.audit("user-42")
    assert (login.kind, login.at, login.device, login.address) == ("logged_in", clock.now - 60, "phone", "203.0.113.7")
    assert (theft.kind, theft.at, theft.reason, theft.by) == ("revoked", clock.now, "reuse_detected", "policy")
    assert theft.address == ("198.51.100.9" + "x" * 1000)[:200]
    assert auth.audit("user-42", limit=1) == (theft,)
    assert [event.address for event in events if event.kind == "logged_in"] == ["203.0.113.7"]
    clock.advance(30 * DAY - 60)
    assert auth.audit("user-42") == (theft,)
    clock.advance(60)
    assert auth.audit("user-42") == ()


def test_events_say_where_they_came_from(make: Callable[..., Tenure], events: list[Event]) -> None:
    gone: list[str] = []
    auth = make(policy=Policy(max_sessions=1), claims=lambda session: None if session.subject in gone else {})
    auth.login("user-1", address="a")
    first = auth.login("user-1", address="b")
    auth.refresh(auth.refresh(first.refresh_token, address="c").refresh_token)
    with pytest.raises(SessionEnded):
        auth.refresh(first.refresh_token, address="d")
    auth.login("user-2")
    auth.run(existing.end_all(auth.issuer, "user-2", except_id=None, reason="x", by="y", address="e"))
    token = auth.login("user-3").refresh_token
    auth.run(existing.end_by_token(auth.issuer, token, client_id=None, reason="x", by="y", address="f"))
    token = auth.login("user-4").refresh_token
    gone.append("user-4")
    with pytest.raises(SessionEnded):
        auth.refresh(token, address="g")
    assert [(event.kind, event.address) for event in events if event.kind != "refreshed"] == [
        ("logged_in", "a"),
        ("revoked", "b"),
        ("logged_in", "b"),
        ("reuse_detected", "d"),
        ("revoked", "d"),
        ("logged_in", None),
        ("revoked", "e"),
        ("logged_in", None),
        ("revoked", "f"),
        ("logged_in", None),
        ("revoked", "g"),
    ]


def test_no_audit_trail_is_kept_where_none_is_wanted(make: Callable[..., Tenure]) -> None:
    auth = make(policy=Policy(audit_ttl=0))
    auth.revoke(auth.login("user-42", address="203.0.113.7").session_id)
    assert auth.audit("user-42") == ()


def test_a_lost_response_is_retried_with_the_attempt_key(
    make: Callable[..., Tenure], clock: Clock, events: list[Event]
) -> None:
    auth = make(policy=Policy(leeway=0))
    pair = auth.login("user-42")
    auth.refresh(pair.refresh_token, attempt=KEY)
    clock.advance(3600)
    retried = auth.refresh(pair.refresh_token, attempt=KEY)
    assert kinds(events) == ["logged_in", "refreshed", "retried"]
    auth.refresh(retried.refresh_token)


@pytest.mark.asvs("7.2.3")
def test_siblings_are_never_equal_and_the_first_used_wins(auth: Tenure) -> None:
    pair = auth.login("user-42")
    one, other = auth.refresh(pair.refresh_token), auth.refresh(pair.refresh_token)
    assert one.refresh_token != other.refresh_token
    auth.refresh(one.refresh_token)
    assert reason(auth, other.refresh_token) == "reuse_detected"


def test_the_leeway_ends(auth: Tenure, clock: Clock) -> None:
    pair = auth.login("user-42")
    auth.refresh(pair.refresh_token)
    clock.advance(30)
    auth.refresh(pair.refresh_token)
    clock.advance(0.001)
    assert reason(auth, pair.refresh_token) == "reuse_detected"


class ForgetfulStore(MemoryStore):
    """Can lose what it was last told about a session, as a failover to a late replica does."""

    def remember(self, session_id: str) -> None:
        self.remembered = self._sessions[session_id]

    def lose(self) -> None:
        self._sessions[self.remembered.id] = self.remembered


def test_a_lost_write_is_a_rollback(make: Callable[..., Tenure], events: list[Event]) -> None:
    store = ForgetfulStore()
    auth = make(store=store)
    pair = auth.login("user-42")
    store.remember(pair.session_id)
    second = auth.refresh(pair.refresh_token)
    store.lose()
    third = auth.refresh(second.refresh_token)
    assert kinds(events) == ["logged_in", "refreshed", "rolled_back"]
    auth.refresh(third.refresh_token)
    assert reason(auth, second.refresh_token) == "reuse_detected"


def test_a_lost_revocation_is_made_again(make: Callable[..., Tenure], events: list[Event]) -> None:
    store = ForgetfulStore()
    auth = make(store=store)
    pair = auth.login("user-42")
    store.remember(pair.session_id)
    auth.revoke(pair.session_id)
    store.lose()
    assert reason(auth, pair.refresh_token) == "revoked"
    assert auth.sessions("user-42") == ()
    store.lose()
    auth.run(auth._upkeep())
    assert auth.sessions("user-42") == ()
    assert [(event.kind, event.reason) for event in events[1:]] == [
        ("revoked", "ended"), ("revoked", "revocation_lost"), ("revoked", "revocation_lost"),
    ]  # fmt: skip


def test_after_the_store_was_away_its_revocations_are_looked_at(make: Callable[..., Tenure]) -> None:
    store = ForgetfulStore()
    auth = make(store=store)
    pair = auth.login("user-42")
    store.remember(pair.session_id)
    auth.revoke(pair.session_id)
    store.lose()
    auth.run(auth._upkeep())
    assert len(auth.sessions("user-42")) == 1  # nothing told of a failover
    auth._failed_upkeep(StoreUnavailable())
    auth.run(auth._upkeep())
    assert auth.sessions("user-42") == ()
    assert not auth.issuer.doubts_store


def test_many_lost_writes_need_a_fresh_login_but_raise_no_alarm(
    make: Callable[..., Tenure], events: list[Event]
) -> None:
    store = ForgetfulStore()
    auth = make(store=store)
    pair = auth.login("user-42")
    store.remember(pair.session_id)
    token = pair.refresh_token
    for _ in range(3):
        token = auth.refresh(token).refresh_token
    store.lose()
    assert reason(auth, token) == "unknown"
    assert auth.sessions("user-42")
    assert "reuse_detected" not in kinds(events)
    believing = make(store=store, policy=Policy(rollback="tag"))
    believing.refresh(token)


@pytest.mark.asvs("7.3.1", "7.3.2", "10.4.8")
def test_idle_and_absolute_lifetime(make: Callable[..., Tenure], clock: Clock, events: list[Event]) -> None:
    auth = make(policy=Policy(idle_ttl=14 * DAY, absolute_ttl=30 * DAY))
    idle = auth.login("user-42")
    clock.advance(14 * DAY)
    assert reason(auth, idle.refresh_token) == "expired"
    assert events[-1].kind == "expired"
    busy = auth.login("user-42")
    left = []
    for _ in range(3):
        clock.advance(9 * DAY)
        busy = auth.refresh(busy.refresh_token)
        left.append(busy.refresh_expires_in / DAY)
    assert left == [14, 12, 3]  # a rotation renews the idle lifetime, nothing renews the absolute one
    clock.advance(3 * DAY)
    assert reason(auth, busy.refresh_token) == "expired"
    assert auth.sessions("user-42") == ()


def test_a_retry_does_not_renew_the_idle_lifetime(auth: Tenure, clock: Clock) -> None:
    pair = auth.login("user-42")
    auth.refresh(pair.refresh_token, attempt=KEY)
    clock.advance(DAY)
    assert auth.refresh(pair.refresh_token, attempt=KEY).refresh_expires_in == 13 * DAY


class CountingStore(MemoryStore):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Call[Any]] = []

    def run(self, call: Call[Any]) -> Any:
        self.asked.append(call)
        return super().run(call)


def test_verifying_asks_no_store(make: Callable[..., Tenure]) -> None:
    store = CountingStore()
    auth = make(store=store)
    token = auth.login("user-42").access_token
    store.asked.clear()
    for _ in range(3):
        auth.verify(token)
        with pytest.raises(InvalidAccessToken):
            auth.verify(token[:-3])
    assert store.asked == []


def test_a_forged_token_asks_no_store(make: Callable[..., Tenure], events: list[Event]) -> None:
    store = CountingStore()
    auth = make(store=store)
    genuine = auth.login("user-42").refresh_token
    stranger = make(store="memory://", secret="another-secret-of-at-least-32-bytes").login("x").refresh_token
    store.asked.clear()
    for text in ["", "tnr1_", genuine[:-1], genuine[:-1] + ("A" if genuine[-1] != "A" else "B"), stranger, "ü" * 117]:
        with pytest.raises(ForgedToken):
            auth.refresh(text)
        with pytest.raises(ForgedToken):
            auth.run(look_up(auth.issuer, text))
    assert store.asked == []
    assert set(kinds(events[2:])) == {"forged_token_refused"}


def test_a_deleted_session_is_unknown(make: Callable[..., Tenure]) -> None:
    auth = make()
    token = auth.login("user-42").refresh_token
    assert reason(make(store="memory://"), token) == "unknown"


def test_a_token_works_only_for_its_client(auth: Tenure) -> None:
    pair = auth.login("user-42", client_id="partner")
    for client_id in ("first-party", "other"):
        with pytest.raises(WrongClient):
            auth.refresh(pair.refresh_token, client_id=client_id)
    assert auth.verify(auth.refresh(pair.refresh_token, client_id="partner").access_token).client_id == "partner"


@pytest.mark.asvs("10.2.3")
def test_scope_may_be_narrowed_for_one_access_token_and_never_widened(auth: Tenure) -> None:
    pair = auth.login("user-42", scope="read write")
    narrowed = auth.refresh(pair.refresh_token, scope="read")
    assert (narrowed.scope, auth.verify(narrowed.access_token).scope) == ("read", "read")
    with pytest.raises(InvalidScope):
        auth.refresh(narrowed.refresh_token, scope="read admin")
    assert auth.refresh(narrowed.refresh_token).scope == "read write"


@pytest.mark.asvs("7.1.2")
def test_sessions_end_to_make_room_for_the_new_one(make: Callable[..., Tenure], clock: Clock) -> None:
    auth = make(policy=Policy(max_sessions=2))
    pairs = []
    for device in ("one", "two", "three"):
        clock.advance(1)
        pairs.append(auth.login("user-42", device=device))
    assert [session.device for session in auth.sessions("user-42")] == ["two", "three"]
    assert reason(auth, pairs[0].refresh_token) == "revoked"
    with pytest.raises(InvalidAccessToken):
        auth.verify(pairs[0].access_token)
    auth.login("user-43")
    assert len(auth.sessions("user-42")) == 2


@pytest.mark.asvs("7.1.2")
def test_or_the_new_login_gives_way(make: Callable[..., Tenure]) -> None:
    auth = make(policy=Policy(max_sessions=1, at_limit="refuse_login"))
    pair = auth.login("user-42")
    with pytest.raises(LoginRefused, match="has 1 sessions already"):
        auth.login("user-42")
    auth.revoke(pair.session_id)
    auth.login("user-42")


def test_revoke_all_but_one(auth: Tenure, events: list[Event]) -> None:
    pairs = [auth.login("user-42") for _ in range(3)]
    other = auth.login("user-43")
    assert auth.revoke_all("user-42", except_id=pairs[1].session_id) == 2
    assert [session.id for session in auth.sessions("user-42")] == [pairs[1].session_id]
    assert auth.revoke_all("user-42") == 1
    assert auth.revoke_all("user-42") == 0
    auth.refresh(other.refresh_token)
    assert kinds(events).count("revoked") == 3
    for pair in pairs:
        with pytest.raises(InvalidAccessToken):
            auth.verify(pair.access_token)


@pytest.mark.parametrize("session_id", ["", "x", "../..", "A" * 32, "é" * 32, "0" * 31, "0" * 33, "0" * 32])
def test_ending_what_does_not_exist_is_no_error(auth: Tenure, session_id: str) -> None:
    assert not auth.revoke(session_id)


def test_claims_are_asked_for_again_at_each_refresh(make: Callable[..., Tenure]) -> None:
    roles: dict[str, list[str]] = {"user-42": ["editor"]}

    def claims(session: Session) -> dict[str, Any] | None:
        return {"roles": roles[session.subject]} if session.subject in roles else None

    auth = make(claims=claims)
    pair = auth.login("user-42", claims={"tenant": "t1"})
    assert auth.verify(pair.access_token)["roles"] == ["editor"]
    roles["user-42"] = ["admin"]
    second = auth.refresh(pair.refresh_token)
    assert auth.verify(second.access_token)["roles"] == ["admin"]
    assert auth.verify(second.access_token)["tenant"] == "t1"
    del roles["user-42"]
    assert reason(auth, second.refresh_token) == "revoked"
    assert auth.sessions("user-42") == ()
    with pytest.raises(LoginRefused, match="no longer exists"):
        auth.login("user-42")


def test_claims_from_the_callable_cannot_shadow_either(make: Callable[..., Tenure]) -> None:
    with pytest.raises(ConfigurationError, match="can't set sub"):
        make(claims=lambda session: {"sub": "admin"}).login("user-42")


@pytest.mark.parametrize("attempt", ["", "x" * 15, "x" * 201])
def test_an_attempt_key_has_a_length(auth: Tenure, attempt: str) -> None:
    pair = auth.login("user-42")
    with pytest.raises(InvalidRequest, match="16 to 200 characters"):
        auth.refresh(pair.refresh_token, attempt=attempt)
    auth.refresh(pair.refresh_token, attempt="x" * 16)
    auth.refresh(pair.refresh_token, attempt="x" * 200)


@pytest.mark.parametrize("subject", ["", "a\nb", "x" * 256, "\x00"])
def test_a_subject_is_printable_text(auth: Tenure, subject: str) -> None:
    with pytest.raises(InvalidRequest, match="subject"):
        auth.login(subject)
    auth.login("x" * 255)


def test_a_devices_name_is_cut_to_size(auth: Tenure) -> None:
    auth.login("user-42", device="Fire\x00fox\n" + "x" * 300)
    assert auth.sessions("user-42")[0].device == ("Firefox" + "x" * 300)[:200]


def test_looking_a_token_up_changes_nothing(auth: Tenure, clock: Clock) -> None:
    pair = auth.login("user-42")
    second = auth.refresh(pair.refresh_token)
    for token in (pair.refresh_token, second.refresh_token):  # the head within the leeway, and its child
        assert auth.run(look_up(auth.issuer, token)).id == pair.session_id
    clock.advance(31)
    with pytest.raises(InvalidGrant, match="not active"):
        auth.run(look_up(auth.issuer, pair.refresh_token))
    with pytest.raises(InvalidGrant, match="not active"):
        auth.run(look_up(auth.issuer, second.refresh_token, client_id="other"))
    auth.refresh(second.refresh_token)
    auth.revoke(pair.session_id)
    with pytest.raises(InvalidGrant, match="not active"):
        auth.run(look_up(auth.issuer, second.refresh_token))


def test_eight_threads_with_one_token_are_one_line(auth: Tenure) -> None:
    pair = auth.login("user-42")
    barrier, answers = threading.Barrier(8), []

    def present() -> None:
        barrier.wait()
        answers.append(auth.refresh(pair.refresh_token).refresh_token)

    threads = [threading.Thread(target=present) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 8
    auth.refresh(answers[0])
    assert {reason(auth, answer) for answer in answers[1:]} == {"reuse_detected"}


def test_another_instance_hears_of_a_revocation(make: Callable[..., Tenure]) -> None:
    one = make()
    other = make(store=one.store, poll=0.01)
    heard, outcome = threading.Event(), []
    pair = one.login("user-42")
    other.verify(pair.access_token)

    def listen() -> None:
        while not heard.is_set():
            try:
                other.verify(pair.access_token)
            except InvalidAccessToken as refused:
                outcome.append(str(refused))
                heard.set()

    thread = threading.Thread(target=listen)
    thread.start()
    one.revoke(pair.session_id)
    assert heard.wait(5)
    thread.join()
    assert outcome == ["The session of this access token was ended. Log in again."]


def test_what_was_revoked_is_remembered_only_as_long_as_a_token_lives(auth: Tenure, clock: Clock) -> None:
    from tenure.driving.upkeep import follow_revocations

    for _ in range(10):
        auth.revoke(auth.login("user-42").session_id)
    clock.advance(601)
    auth.run(follow_revocations(auth.issuer, 0))
    assert not auth.issuer.checker._revoked


def test_an_event_hook_that_fails_costs_nobody_a_session(
    make: Callable[..., Tenure], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Event) -> None:
        raise RuntimeError("the hook is broken")

    auth = make(on_event=broken)
    auth.refresh(auth.login("user-42").refresh_token)
    assert "the event hook failed on logged_in" in caplog.text


def test_the_log_gets_structured_records_without_secrets(auth: Tenure, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="tenure")
    pair = auth.login("user-42")
    second = auth.refresh(pair.refresh_token, attempt=KEY)
    auth.refresh(second.refresh_token)
    reason(auth, pair.refresh_token)
    records = {record.message: record for record in caplog.records}
    assert list(records) == ["logged_in", "refreshed", "reuse_detected", "revoked"]
    assert records["reuse_detected"].levelname == "WARNING"
    assert records["refreshed"].levelname == "DEBUG"
    fields = records["logged_in"].event
    assert fields == {
        "kind": "logged_in",
        "at": fields["at"],
        "session_id": pair.session_id,
        "subject": "user-42",
        "client_id": "first-party",
    }
    everything = repr([record.__dict__ for record in caplog.records])
    for secret in (pair.refresh_token, second.refresh_token, pair.access_token, KEY, SECRET):
        assert secret not in everything


def test_nothing_shows_a_token(auth: Tenure) -> None:
    pair = auth.login("user-42")
    session = auth.store.run(Get(pair.session_id))
    assert session is not None
    for shown in (repr(pair), repr(session), str(pair)):
        assert pair.refresh_token not in shown
        assert pair.access_token not in shown
        assert session.head.nonce_hash.hex() not in shown
        assert repr(session.head.nonce_hash) not in shown


@pytest.mark.parametrize(("issuer", "audience"), [("", "api"), ("https://x", "")])
def test_issuer_and_audience_are_needed(make: Callable[..., Tenure], issuer: str, audience: str) -> None:
    with pytest.raises(ConfigurationError, match="must not be empty"):
        make(issuer=issuer, audience=audience)


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///", "oracle://x", "tenure.db"])
def test_a_store_url_of_no_known_form_is_refused(make: Callable[..., Tenure], url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"sqlite:///relative\.db"):
        make(store=url)


def test_async_tenure_does_the_same(store_url: str, clock: Clock, events: list[Event]) -> None:
    def slow_claims(session: Session) -> Any:
        async def answer() -> dict[str, Any]:
            await asyncio.sleep(0)
            return {"roles": ["editor"]}

        return answer()

    async def story() -> None:
        async with AsyncTenure(
            store_url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE, clock=clock, on_event=events.append,
            claims=slow_claims, poll=0.01,
        ) as auth:  # fmt: skip
            pair = await auth.login("user-42", device="phone")
            answers = await asyncio.gather(*[auth.refresh(pair.refresh_token) for _ in range(8)])
            claims = await auth.verify(answers[3].access_token)
            assert (claims.subject, claims["roles"]) == ("user-42", ["editor"])
            await auth.refresh(answers[3].refresh_token)
            with pytest.raises(SessionEnded):
                await auth.refresh(answers[4].refresh_token)
            with pytest.raises(InvalidAccessToken):
                await auth.verify(answers[3].access_token)
            more = [await auth.login("user-42") for _ in range(3)]
            assert len(await auth.sessions("user-42")) == 3
            assert await auth.revoke(more[0].session_id)
            assert await auth.revoke_all("user-42", except_id=more[1].session_id) == 1
            assert [session.id for session in await auth.sessions("user-42")] == [more[1].session_id]
            await asyncio.sleep(0.05)  # the upkeep runs beside
            assert auth.jwks()["keys"]

    asyncio.run(story())
    assert kinds(events).count("refreshed") + kinds(events).count("retried") == 9


def test_async_tenure_starts_by_itself(store_url: str) -> None:
    async def story() -> None:
        auth = AsyncTenure(store_url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE)
        pair = await auth.login("user-42")
        await auth.close()
        other = AsyncTenure("memory://", secret=SECRET, issuer=ISSUER, audience=AUDIENCE)
        with pytest.raises(InvalidAccessToken):
            await other.verify(pair.access_token)
        await other.close()

    asyncio.run(story())


def test_purging_waits_until_every_verifier_has_heard(auth: Tenure, clock: Clock) -> None:
    from tenure.driving.upkeep import purge

    ended = auth.login("user-42").session_id
    auth.revoke(ended)
    clock.advance(600)
    assert auth.run(purge(auth.issuer, keep=0)) == 0  # an access token of it may be alive
    clock.advance(1)
    assert auth.run(purge(auth.issuer, keep=0)) == 1
    assert auth.store.run(Get(ended)) is None


class FlakyStore(MemoryStore):
    """Fails for as long as it is told to."""

    broken = False

    def run(self, call: Call[Any]) -> Any:
        if self.broken:
            raise RuntimeError("the disk is on fire")
        return super().run(call)


def test_upkeep_goes_on_after_a_failure(make: Callable[..., Tenure], caplog: pytest.LogCaptureFixture) -> None:
    store = FlakyStore()
    auth = make(store=store, poll=0.01)
    pair = auth.login("user-42")
    store.broken = True
    while "upkeep will be tried again: the disk is on fire" not in caplog.text:
        threading.Event().wait(0.01)
    store.broken = False
    store.run(Revoke(pair.session_id, auth.issuer.now(), "elsewhere", "another instance"))
    for _ in range(500):
        try:
            auth.verify(pair.access_token)
        except InvalidAccessToken:
            return
        threading.Event().wait(0.01)
    raise AssertionError("the upkeep did not go on")


def test_upkeep_with_await_goes_on_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        store = FlakyStore()
        async with AsyncTenure(store, secret=SECRET, issuer=ISSUER, audience=AUDIENCE, poll=0.01) as auth:
            store.broken = True
            while "upkeep will be tried again" not in caplog.text:
                await asyncio.sleep(0.01)
            store.broken = False
            assert (await auth.login("user-42")).access_token

    asyncio.run(story())
