"""The verdict table, row by row."""

import pytest

from tenure.core.family import Head, Verdict, judge
from tenure.core.tokens import RefreshToken, nonce_hash

SID, NONE, A, B = b"s" * 16, bytes(16), b"a" * 32, b"b" * 32


def head(nonce: bytes = b"H" * 16, *, attempt: bytes | None = A, rotated_at: float = 100.0) -> Head:
    return Head(5, nonce_hash(SID, nonce), attempt, rotated_at)


def token(generation: int, *, nonce: bytes = NONE, parent: bytes = NONE, grandparent: bytes = NONE) -> RefreshToken:
    return RefreshToken(SID, generation, grandparent, parent, nonce)


def verdict(
    presented: RefreshToken, attempt: bytes | None = None, now: float = 1000.0, leeway: float = 0.0, **policy: bool
) -> Verdict:
    return judge(head(), presented, attempt, now, leeway, **policy)


def test_a_child_of_the_head_rotates() -> None:
    assert verdict(token(6, parent=b"H" * 16)) is Verdict.ROTATE


def test_a_child_of_another_link_is_a_fork() -> None:
    assert verdict(token(6, parent=b"X" * 16, nonce=b"H" * 16, grandparent=b"H" * 16)) is Verdict.REUSE


def test_the_head_with_its_attempt_key_is_a_retry_however_late() -> None:
    assert verdict(token(5, nonce=b"H" * 16), A, now=1e9) is Verdict.RETRY


@pytest.mark.parametrize("attempt", [None, B])
def test_the_head_without_its_attempt_key_is_reuse(attempt: bytes | None) -> None:
    assert verdict(token(5, nonce=b"H" * 16), attempt) is Verdict.REUSE


@pytest.mark.parametrize("attempt", [None, B])
@pytest.mark.parametrize(("now", "expected"), [(100.0, Verdict.RETRY), (130.0, Verdict.RETRY), (130.1, Verdict.REUSE)])
def test_the_leeway_is_inclusive_and_ends(attempt: bytes | None, now: float, expected: Verdict) -> None:
    assert verdict(token(5, nonce=b"H" * 16), attempt, now, leeway=30.0) is expected


def test_a_clock_that_went_back_is_within_the_leeway() -> None:
    assert verdict(token(5, nonce=b"H" * 16), None, now=50.0, leeway=30.0) is Verdict.RETRY


def test_no_attempt_key_matches_no_attempt_key() -> None:
    unkeyed = head(attempt=None)
    assert judge(unkeyed, token(5, nonce=b"H" * 16), None, 1000.0, 0.0) is Verdict.REUSE
    assert judge(unkeyed, token(5, nonce=b"H" * 16), A, 1000.0, 0.0) is Verdict.REUSE


@pytest.mark.parametrize("leeway", [0.0, 1e9])
def test_a_sibling_of_the_head_is_a_fork(leeway: float) -> None:
    sibling = token(5, nonce=b"X" * 16, parent=b"H" * 16, grandparent=b"H" * 16)
    assert verdict(sibling, A, leeway=leeway) is Verdict.REUSE


@pytest.mark.parametrize("generation", [1, 4])
def test_anything_older_is_reuse_even_within_the_leeway(generation: int) -> None:
    old = token(generation, nonce=b"H" * 16, parent=b"H" * 16, grandparent=b"H" * 16)
    assert verdict(old, A, now=100.0, leeway=1e9, believe_tag=True) is Verdict.REUSE


def test_a_grandchild_that_proves_its_descent_is_a_rollback() -> None:
    assert verdict(token(7, grandparent=b"H" * 16)) is Verdict.ROLLBACK


@pytest.mark.parametrize("generation", [7, 8, 100])
def test_newer_without_proof_is_refused_without_alarm(generation: int) -> None:
    unproven = token(generation, nonce=b"H" * 16, parent=b"H" * 16)
    assert verdict(unproven, A, leeway=1e9) is Verdict.REFUSE
    assert verdict(unproven, A, believe_tag=True) is Verdict.ROLLBACK


def test_only_the_grandchild_can_prove_descent() -> None:
    assert verdict(token(8, grandparent=b"H" * 16)) is Verdict.REFUSE


def test_believing_the_tag_changes_nothing_else() -> None:
    assert verdict(token(6, parent=b"X" * 16), believe_tag=True) is Verdict.REUSE
    assert verdict(token(5, nonce=b"H" * 16), believe_tag=True) is Verdict.REUSE


def test_no_hash_is_in_the_representation() -> None:
    assert repr(head()) == "Head(generation 5, rotated at 100.0)"
