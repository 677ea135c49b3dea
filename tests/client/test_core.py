"""The client's state machine, stepped by hand: what it does next, whatever happened. No network, no file."""

import json
from typing import Any

import pytest

from tenure.client.core import (
    Answer,
    Clear,
    Credentials,
    Load,
    RefreshFailed,
    Renewed,
    Save,
    Send,
    SignedOut,
    Sleep,
    TryLock,
    renew,
    retry_after,
    says_invalid,
)

OLD = Credentials("refresh-1", "access-1")
BEGUN = Credentials("refresh-1", "access-1", "key-1")
NEW = Credentials("refresh-2", "access-2")
GOOD = Answer(
    200, {}, json.dumps({"access_token": "access-2", "refresh_token": "refresh-2", "expires_in": 600}).encode()
)


class Machine:
    def __init__(self, seen: str | None = "access-1") -> None:
        keys = iter(["key-1", "key-2"])
        self.flow = renew(seen, lambda: next(keys))
        self.action = next(self.flow)

    def tell(self, *told: Any) -> Any:
        for one in told:
            self.action = self.flow.send(one)
        return self.action

    def ends(self, told: Any) -> Renewed:
        with pytest.raises(StopIteration) as finished:
            self.flow.send(told)
        return finished.value.value


def begun() -> Machine:
    """A machine whose refresh is under way."""
    machine = Machine()
    assert machine.action == TryLock()
    assert machine.tell(True) == Load()
    assert machine.tell(OLD) == Save(BEGUN)  # the attempt key is stored before anything is sent
    assert machine.tell(None) == Send(BEGUN)
    return machine


def test_a_refresh() -> None:
    machine = begun()
    assert machine.tell(GOOD) == Load()
    assert machine.tell(BEGUN) == Save(NEW)
    assert machine.ends(None) == Renewed(NEW, 600.0, refreshed=True)


def test_a_refresh_that_was_begun_before_is_sent_again_with_its_key() -> None:
    machine = Machine()
    assert machine.tell(True, Credentials("refresh-1", "access-1", "key-0")) == Send(
        Credentials("refresh-1", "access-1", "key-0")
    )


def test_whoever_waited_takes_what_another_has_got() -> None:
    machine = Machine()
    assert machine.tell(False) == Load()
    assert machine.tell(BEGUN) == Sleep(0.01)
    assert machine.tell(None) == TryLock()
    assert machine.tell(False) == Load()
    assert machine.ends(NEW) == Renewed(NEW)


def test_under_the_lock_the_storage_is_believed() -> None:
    machine = Machine()
    machine.tell(True)
    assert machine.ends(NEW) == Renewed(NEW)


def test_a_first_use_takes_what_is_stored() -> None:
    machine = Machine(seen=None)
    machine.tell(True)
    assert machine.ends(OLD) == Renewed(OLD)


def test_a_lock_that_is_never_given_back_is_passed_by() -> None:
    machine = Machine()
    pauses = []
    machine.tell(False)
    while isinstance(pause := machine.tell(BEGUN), Sleep):
        pauses.append(pause.seconds)
        assert machine.tell(None) == TryLock()
        assert machine.tell(False) == Load()
    assert 5.0 <= sum(pauses) < 5.1
    assert pauses == sorted(pauses)
    assert max(pauses) == 0.05
    assert pause == Send(BEGUN)
    # The same token, the same key: the server takes it for a retry.


def test_an_answer_that_comes_after_another_has_moved_on_is_dropped() -> None:
    machine = begun()
    machine.tell(GOOD)
    newer = Credentials("refresh-7", "access-7")
    assert machine.ends(newer) == Renewed(newer)


def test_a_refusal_of_a_token_that_was_replaced_meanwhile_ends_nothing() -> None:
    machine = begun()
    machine.tell(Answer(400, {}, b'{"error": "invalid_grant"}'))
    assert machine.ends(NEW) == Renewed(NEW)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": "invalid_grant", "reason": "reuse_detected"}', "reuse_detected"),
        (b'{"error": "invalid_grant"}', "invalid_grant"),
    ],
)
def test_only_invalid_grant_ends_the_session(body: bytes, reason: str) -> None:
    machine = begun()
    machine.tell(Answer(400, {}, body))
    assert machine.tell(BEGUN) == Clear()
    with pytest.raises(SignedOut) as ended:
        machine.tell(None)
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
        Answer(200, {}, b"[" * 100_000),
    ],
)
def test_anything_else_keeps_it(answer: Answer | None) -> None:
    machine = begun()
    machine.tell(answer)
    with pytest.raises(RefreshFailed, match="session is kept"):
        machine.tell(BEGUN)


def test_nobody_is_logged_in() -> None:
    machine = Machine(seen=None)
    machine.tell(True)
    with pytest.raises(SignedOut, match="Nobody is logged in"):
        machine.tell(None)


def test_another_process_has_logged_out() -> None:
    machine = Machine()
    machine.tell(True)
    with pytest.raises(SignedOut) as ended:
        machine.tell(None)
    assert ended.value.reason == "logged_out"


def test_a_log_out_while_a_refresh_is_under_way_wins() -> None:
    machine = begun()
    machine.tell(GOOD)
    with pytest.raises(SignedOut) as ended:
        machine.tell(None)
    assert ended.value.reason == "logged_out"


def test_a_server_that_does_not_rotate() -> None:
    machine = begun()
    machine.tell(Answer(200, {}, b'{"access_token": "access-2"}'))
    assert machine.tell(BEGUN) == Save(Credentials("refresh-1", "access-2"))
    assert machine.ends(None).expires_in is None


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        (None, 0.0),
        (Answer(429, {"retry-after": "7"}, b""), 7.0),
        (Answer(503, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b""), 0.0),
        (Answer(500, {}, b""), 0.0),
        (Answer(200, {}, b"garbled"), 0.0),
        (GOOD, None),
        (Answer(400, {}, b'{"error": "invalid_grant"}'), None),
        (Answer(401, {}, b""), None),
    ],
)
def test_what_is_sent_again(answer: Answer | None, pause: float | None) -> None:
    assert retry_after(answer) == pause


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


@pytest.mark.parametrize("text", [None, "", "{", "[]", "7", '{"refresh_token": "x"}', "null"])
def test_what_a_storage_can_not_have_kept_is_nothing(text: str | None) -> None:
    assert Credentials.of_text(text) is None


def test_credentials_go_through_text_and_do_not_show_themselves() -> None:
    assert Credentials.of_text(BEGUN.to_text()) == BEGUN
    for secret in ("refresh-1", "access-1", "key-1"):
        assert secret not in repr(BEGUN)
