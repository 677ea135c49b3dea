"""The client's state machine, stepped by hand: what it does next, whatever happened. No network, no file."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tenure.client import Credentials, RefreshFailed, SignedOut
from tenure.client.core import (
    Answer,
    Load,
    LogOut,
    Refresh,
    Renewed,
    Sleep,
    Swap,
    TryLock,
    enter,
    is_definite,
    is_garbled,
    leave,
    lifetime,
    renew,
    retry_after,
    says_invalid,
    tell_logouts,
)
from tenure.client.record import Record, record_of
from tests.conftest import Clock

NOW = 1_800_000_000.0
OLD = Credentials("refresh-1", "access-1")
BEGUN = Credentials("refresh-1", "access-1", "key-1")
NEW = Credentials("refresh-2", "access-2", None, NOW, NOW + 600)
GOOD = Answer(
    200, {}, json.dumps({"access_token": "access-2", "refresh_token": "refresh-2", "expires_in": 600}).encode()
)
REFUSED = Answer(400, {}, b'{"error": "invalid_grant"}')


class Machine:
    def __init__(self, flow: Any = None, seen: str | None = "access-1", **how: bool) -> None:
        keys = iter(["key-1", "key-2"])
        self.clock = Clock(NOW)
        self.flow = renew(seen, lambda: next(keys), self.clock, **how) if flow is None else flow
        self.action = next(self.flow)

    def tell(self, *told: Any) -> Any:
        for one in told:
            self.action = self.flow.send(one)
        return self.action

    def ends(self, told: Any) -> Any:
        with pytest.raises(StopIteration) as finished:
            self.flow.send(told)
        return finished.value.value


def begun(**how: bool) -> Machine:
    """A machine whose refresh is under way."""
    machine = Machine(**how)
    assert machine.action == TryLock()
    assert machine.tell(True) == Load()
    # The attempt key is stored before anything is sent.
    assert machine.tell(Record(OLD)) == Swap(Record(OLD), Record(BEGUN))
    assert machine.tell(Record(BEGUN)) == Refresh(BEGUN, thorough=how.get("thorough", True))
    return machine


def test_a_refresh() -> None:
    machine = begun()
    assert machine.tell(GOOD) == Swap(Record(BEGUN), Record(NEW))
    assert machine.ends(Record(NEW)) == Renewed(NEW, refreshed=True)


def test_a_refresh_that_was_begun_before_is_sent_again_with_its_key() -> None:
    machine = Machine()
    assert machine.tell(True, Record(replace(OLD, attempt="key-0"))) == Refresh(replace(OLD, attempt="key-0"))


def test_whoever_waited_takes_what_another_has_got() -> None:
    machine = Machine()
    assert machine.tell(False) == Load()
    assert machine.tell(Record(BEGUN)) == Sleep(0.01)
    assert machine.tell(None) == TryLock()
    assert machine.tell(False) == Load()
    assert machine.ends(Record(NEW)) == Renewed(NEW)


def test_under_the_lock_the_storage_is_believed() -> None:
    machine = Machine()
    machine.tell(True)
    assert machine.ends(Record(NEW)) == Renewed(NEW)


def test_what_the_storage_holds_is_not_taken_for_new_if_it_has_expired() -> None:
    machine = Machine()
    machine.clock.advance(601)
    assert machine.tell(True, Record(NEW)) == Swap(Record(NEW), Record(replace(NEW, attempt="key-1")))


def test_a_first_use_takes_what_is_stored() -> None:
    machine = Machine(seen=None)
    machine.tell(True)
    assert machine.ends(Record(OLD)) == Renewed(OLD)


def test_a_lock_that_is_never_given_back_is_passed_by() -> None:
    machine = Machine()
    pauses = []
    machine.tell(False)
    while isinstance(pause := machine.tell(Record(BEGUN)), Sleep):
        pauses.append(pause.seconds)
        assert machine.tell(None) == TryLock()
        assert machine.tell(False) == Load()
    assert 5.0 <= sum(pauses) < 5.1
    assert pauses == sorted(pauses)
    assert max(pauses) == 0.05
    assert pause == Refresh(BEGUN)
    # The same token, the same key: the server takes it for a retry.


def test_an_answer_that_comes_after_another_has_moved_on_is_dropped() -> None:
    machine = begun()
    newer = Record(Credentials("refresh-7", "access-7"))
    assert machine.tell(GOOD, None) == Load()
    assert machine.ends(newer) == Renewed(newer.credentials)


def test_an_answer_is_stored_although_something_else_has_changed_meanwhile() -> None:
    machine = begun()
    machine.tell(GOOD, None)
    changed = Record(BEGUN, logouts=("refresh-0",))
    assert machine.tell(changed) == Swap(changed, Record(NEW, logouts=("refresh-0",)))


def test_a_refusal_of_a_token_that_was_replaced_meanwhile_ends_nothing() -> None:
    machine = begun()
    machine.tell(REFUSED, None)
    assert machine.ends(Record(NEW)) == Renewed(NEW)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": "invalid_grant", "reason": "reuse_detected"}', "reuse_detected"),
        (b'{"error": "invalid_grant"}', "invalid_grant"),
    ],
)
def test_only_invalid_grant_ends_the_session(body: bytes, reason: str) -> None:
    machine = begun()
    assert machine.tell(Answer(400, {}, body)) == Swap(Record(BEGUN), Record())
    with pytest.raises(SignedOut) as ended:
        machine.tell(Record())
    assert ended.value.reason == reason


@pytest.mark.parametrize(
    "answer",
    [
        None,
        Answer(500, {}, b""),
        Answer(502, {}, b"<html>"),
        Answer(503, {}, b'{"error": "temporarily_unavailable"}'),
        Answer(429, {}, b'{"error": "temporarily_unavailable"}'),
        Answer(401, {}, b'{"error": "invalid_client"}'),
        Answer(400, {}, b'{"error": "invalid_request"}'),
        Answer(400, {}, b"not json"),
        Answer(500, {}, b'{"error": "invalid_grant"}'),
        Answer(200, {}, b"garbled"),
        Answer(200, {}, b"[]"),
        Answer(200, {}, b'{"access_token": 7}'),
        Answer(200, {}, b'{"access_token": "x", "refresh_token": 7}'),
        Answer(200, {}, b"[" * 100_000),
    ],
)
def test_anything_else_keeps_it_and_is_remembered_for_a_moment(answer: Answer | None) -> None:
    machine = begun()
    failed = Record(BEGUN, failed_at=NOW, pause=1.0)
    assert machine.tell(answer) == Swap(Record(BEGUN), failed)
    with pytest.raises(RefreshFailed, match="session is kept"):
        machine.tell(failed)


def test_after_a_failure_nobody_tries_for_a_moment_and_then_once() -> None:
    failed = Record(BEGUN, failed_at=NOW, pause=1.0)
    machine = Machine()
    machine.tell(True)
    with pytest.raises(RefreshFailed, match="a moment ago"):
        machine.tell(failed)
    machine = Machine()
    machine.clock.advance(1)
    assert machine.tell(True, failed) == Refresh(BEGUN, thorough=False)
    machine.tell(None)
    assert machine.action == Swap(failed, Record(BEGUN, failed_at=NOW + 1, pause=2.0))
    machine = Machine(asked=True)
    assert machine.tell(True, Record(BEGUN, failed_at=NOW - 0.5, pause=1.0)) == Refresh(BEGUN, thorough=False)


def test_whoever_was_waiting_when_it_failed_shares_the_failure_even_if_asked() -> None:
    machine = Machine(asked=True)
    machine.tell(False, Record(BEGUN), None)
    machine.clock.advance(0.1)
    machine.tell(True)
    with pytest.raises(RefreshFailed):
        machine.tell(Record(BEGUN, failed_at=NOW + 0.05, pause=1.0))


def test_pauses_grow_and_heed_the_server() -> None:
    record, pauses = Record(OLD), []
    for _ in range(8):
        record = record.failed(NOW, 0.0)
        pauses.append(record.pause)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert Record(OLD).failed(NOW, 20.0).pause == 20.0
    assert Record(OLD).failed(NOW, 1e9).pause == 300.0
    assert record.is_paused(NOW + 29)
    assert not record.is_paused(NOW + 30)
    assert not record.is_paused(NOW - 1)  # the clock was set back
    assert record.succeeded(OLD) == Record(OLD)


def test_nobody_is_logged_in() -> None:
    machine = Machine(seen=None)
    machine.tell(True)
    with pytest.raises(SignedOut, match="Nobody is logged in"):
        machine.tell(Record())


def test_another_process_has_logged_out() -> None:
    machine = Machine()
    machine.tell(True)
    with pytest.raises(SignedOut) as ended:
        machine.tell(Record())
    assert ended.value.reason == "logged_out"


def test_a_log_out_while_a_refresh_is_under_way_wins() -> None:
    machine = begun()
    machine.tell(GOOD, None)
    with pytest.raises(SignedOut) as ended:
        machine.tell(Record(None, logouts=("refresh-1",)))
    assert ended.value.reason == "logged_out"


def test_a_server_that_does_not_rotate() -> None:
    machine = begun()
    same = Credentials("refresh-1", "access-2", None, NOW, None)
    assert machine.tell(Answer(200, {}, b'{"access_token": "access-2"}')) == Swap(Record(BEGUN), Record(same))
    assert machine.ends(Record(same)) == Renewed(same, refreshed=True)


def test_a_log_out_is_remembered_until_the_server_has_heard_of_it() -> None:
    left = Record(None, logouts=("refresh-1",))
    machine = Machine(leave())
    assert machine.tell(Record(OLD)) == Swap(Record(OLD), left)
    assert machine.ends(left) is True
    machine = Machine(tell_logouts(Clock(NOW)))
    assert machine.tell(left) == LogOut("refresh-1")
    paused = Record(None, left.logouts, NOW, 1.0)
    assert machine.tell(None) == Swap(left, paused)
    assert machine.ends(paused) is False
    machine = Machine(tell_logouts(Clock(NOW)))
    machine.tell(left)
    assert machine.tell(Answer(204, {}, b"")) == Swap(left, Record())
    assert machine.ends(Record()) is True


def test_whoever_asks_for_a_token_tells_the_server_of_a_log_out_first() -> None:
    machine = Machine(seen=None)
    left = Record(None, logouts=("refresh-1",))
    assert machine.tell(True, left) == Load()
    assert machine.tell(left) == LogOut("refresh-1")
    machine.tell(Answer(200, {}, b""))
    with pytest.raises(SignedOut):
        machine.tell(Record())
    machine = Machine(seen=None)
    machine.tell(True)
    with pytest.raises(SignedOut):  # it was tried a moment ago
        machine.tell(Record(None, left.logouts, NOW, 1.0))


def test_a_refresh_shows_that_the_server_is_back_and_log_outs_are_told_it() -> None:
    machine = Machine()
    old = Record(BEGUN, logouts=("refresh-0",))
    new = Record(NEW, logouts=("refresh-0",))
    assert machine.tell(True, old, GOOD) == Swap(old, new)
    assert machine.tell(new) == Load()
    assert machine.tell(new) == LogOut("refresh-0")
    assert machine.ends(Answer(500, {}, b"")) == Renewed(NEW, refreshed=True)


@pytest.mark.parametrize(
    ("new", "logouts"),
    [
        ("tnr1_" + "b" * 112, ("tnr1_" + "a" * 112,)),
        ("tnr1_" + "a" * 21 + "b" * 91, ()),  # the same session
        ("of another kind", ()),
    ],
)
def test_a_session_that_is_replaced_is_logged_out(new: str, logouts: tuple[str, ...]) -> None:
    old = Record(Credentials("tnr1_" + "a" * 112))
    machine = Machine(enter(Credentials(new)))
    assert machine.tell(old) == Swap(old, Record(Credentials(new), logouts))


@pytest.mark.parametrize(
    ("answer", "definite", "pause"),
    [
        (None, False, 0.0),
        (Answer(429, {"retry-after": "7"}, b""), False, 7.0),
        (Answer(503, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b""), False, 0.0),
        (Answer(500, {}, b""), False, 0.0),
        (Answer(204, {}, b""), True, 0.0),
        (REFUSED, True, 0.0),
        (Answer(401, {}, b""), True, 0.0),
    ],
)
def test_what_is_sent_again(answer: Answer | None, definite: bool, pause: float) -> None:
    assert (is_definite(answer), retry_after(answer)) == (definite, pause)


def test_what_is_garbled() -> None:
    assert [is_garbled(one) for one in (None, GOOD, REFUSED, Answer(200, {}, b"<html>"))] == [False, False, False, True]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (600, 600.0),
        (0.5, 0.5),
        (None, None),
        (True, None),
        ("600", None),
        (-1, None),
        (1e300, None),
        (float("nan"), None),
    ],
)
def test_a_lifetime_that_an_answer_says(value: object, seconds: float | None) -> None:
    assert lifetime(value) == seconds


@pytest.mark.parametrize(
    ("status", "challenge", "invalid"),
    [
        (401, 'Bearer error="invalid_token"', True),
        (401, "Bearer", True),
        (401, 'Bearer error="insufficient_scope"', False),
        (401, 'Basic realm="x"', False),
        (401, "", False),
        (403, 'Bearer error="invalid_token"', False),
        (200, "", False),
    ],
)
def test_what_says_that_the_token_is_invalid(status: int, challenge: str, invalid: bool) -> None:
    assert says_invalid(status, challenge) is invalid


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "7", "null", '{"refresh_token": 7}', '{"logouts": 7}', '{"logouts": [7]}', '{"pause": "x"}'),
        *('{"refresh_token": "x", "expires_at": true}', '{"refresh_token": "x", "access_token": []}'),
    ],
)
def test_what_is_no_record_is_not_taken_for_an_empty_one(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        record_of(text)


def test_a_record_goes_through_text_and_does_not_show_itself() -> None:
    record = Record(replace(NEW, attempt="key-1"), ("refresh-0",), NOW, 2.0)
    assert record_of(record.to_text()) == record
    assert record_of(None) == record_of(Record().to_text()) == Record()
    assert record_of('{"refresh_token": "refresh-1", "access_token": "access-1", "attempt": null}').credentials == OLD
    for secret in ("refresh-", "access-", "key-"):
        assert secret not in repr(record_of(record.to_text()))
