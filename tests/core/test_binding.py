"""Sessions that are bound to a key, through the library: a copied token is worth nothing."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tenure import Event, InvalidAccessToken, Policy, SessionEnded, Tenure
from tenure.core.errors import InvalidProof, ProofRequired, StolenTokenRefused
from tests.conftest import Clock
from tests.dpop import Key

OWNER, THIEF = Key(), Key()
URL = "https://api.example.com/notes"


def test_a_session_is_bound_at_login(auth: Tenure, clock: Clock, events: list[Event]) -> None:
    pair = auth.login("ada", thumbprint=OWNER.thumbprint)
    assert pair.token_type == "DPoP"
    for thumbprint in (None, THIEF.thumbprint):
        with pytest.raises(StolenTokenRefused) as refused:
            auth.refresh(pair.refresh_token, thumbprint=thumbprint)
        assert refused.value.code == "invalid_grant"
    assert [event.kind for event in events] == ["logged_in", "stolen_token_refused", "stolen_token_refused"]
    assert auth.sessions("ada")[0].binding == f"dpop:{OWNER.thumbprint}"
    newer = auth.refresh(pair.refresh_token, thumbprint=OWNER.thumbprint)
    assert newer.token_type == "DPoP"
    with pytest.raises(StolenTokenRefused):  # an old one without the key ends nothing
        auth.refresh(pair.refresh_token)
    with pytest.raises(SessionEnded, match="old refresh token"):  # with it, it is the owner's own: judged as ever
        clock.advance(60)
        auth.refresh(auth.refresh(newer.refresh_token, thumbprint=OWNER.thumbprint) and pair.refresh_token,
                     thumbprint=OWNER.thumbprint)  # fmt: skip


def test_people_who_are_logged_in_move_over(auth: Tenure) -> None:
    pair = auth.login("ada")
    assert pair.token_type == "Bearer"
    bound = auth.refresh(pair.refresh_token, thumbprint=OWNER.thumbprint)
    assert bound.token_type == "DPoP"
    with pytest.raises(StolenTokenRefused):
        auth.refresh(bound.refresh_token)
    assert auth.refresh(bound.refresh_token, thumbprint=OWNER.thumbprint).token_type == "DPoP"


def test_a_lost_response_to_the_binding_refresh_is_retried(auth: Tenure, clock: Clock) -> None:
    pair = auth.login("ada")
    auth.refresh(pair.refresh_token, thumbprint=OWNER.thumbprint, attempt="attempt-0123456789")
    clock.advance(1000)
    again = auth.refresh(pair.refresh_token, thumbprint=OWNER.thumbprint, attempt="attempt-0123456789")
    assert again.token_type == "DPoP"
    assert auth.refresh(again.refresh_token, thumbprint=OWNER.thumbprint)


def test_a_thief_who_binds_first_is_found_by_the_owners_next_refresh(auth: Tenure, clock: Clock) -> None:
    pair = auth.login("ada")
    auth.refresh(pair.refresh_token, thumbprint=THIEF.thumbprint)
    clock.advance(60)
    with pytest.raises(StolenTokenRefused):
        auth.refresh(pair.refresh_token, thumbprint=OWNER.thumbprint)


def test_a_binding_stays_when_the_policy_changes(make: Callable[..., Tenure], store_url: str) -> None:
    if store_url == "memory://":
        pytest.skip("needs a store that two share")
    bound = make().login("ada", thumbprint=OWNER.thumbprint)
    later = make(policy=Policy(binding="off"))
    with pytest.raises(StolenTokenRefused):
        later.refresh(bound.refresh_token)
    assert later.refresh(bound.refresh_token, thumbprint=OWNER.thumbprint).token_type == "DPoP"
    assert later.login("bob", thumbprint=OWNER.thumbprint).token_type == "Bearer"
    unbound = later.login("bob")
    assert later.refresh(unbound.refresh_token, thumbprint=OWNER.thumbprint).token_type == "Bearer"


@pytest.mark.asvs("10.3.5", "10.4.14")
def test_a_binding_may_be_required(make: Callable[..., Tenure], store_url: str) -> None:
    strict = make(policy=Policy(binding="required"))
    with pytest.raises(InvalidProof):
        strict.login("ada")
    assert strict.login("ada", thumbprint=OWNER.thumbprint).token_type == "DPoP"
    if store_url != "memory://":
        older = make().login("bob")
        strict.login("bob", thumbprint=OWNER.thumbprint)
        for _ in range(2):
            with pytest.raises(InvalidProof):
                make(policy=Policy(binding="required", leeway=0)).refresh(older.refresh_token, scope="")


def test_such_evidence_may_end_the_session(make: Callable[..., Tenure], events: list[Event]) -> None:
    auth = make(policy=Policy(at_missing_proof="end_session"))
    pair = auth.login("ada", thumbprint=OWNER.thumbprint)
    with pytest.raises(StolenTokenRefused):
        auth.refresh(pair.refresh_token, address="192.0.2.7")
    assert [(event.kind, event.reason) for event in events[1:]] == [
        ("stolen_token_refused", None),
        ("revoked", "stolen_token"),
    ]
    assert events[1].address == "192.0.2.7"
    with pytest.raises(SessionEnded):
        auth.refresh(pair.refresh_token, thumbprint=OWNER.thumbprint)


@pytest.mark.parametrize(("name", "value"), [("binding", "on"), ("binding", True), ("at_missing_proof", "shout")])
def test_a_policy_says_what_it_may_be(name: str, value: Any) -> None:
    from tenure import ConfigurationError

    with pytest.raises(ConfigurationError, match=f"{name} is "):
        Policy(**{name: value})


@pytest.mark.asvs("10.3.5", "10.4.14")
def test_a_bound_access_token_needs_a_proof(auth: Tenure, clock: Clock) -> None:
    token = auth.login("ada", thumbprint=OWNER.thumbprint).access_token
    with pytest.raises(ProofRequired):
        auth.verify(token)
    proof = OWNER.proof("GET", URL, clock.now, access_token=token)
    claims = auth.verify(token, proof=proof, method="GET", url=URL)
    assert claims.thumbprint == OWNER.thumbprint == claims["cnf"]["jkt"]
    for wrong in (
        proof,  # once
        THIEF.proof("GET", URL, clock.now, access_token=token),
        OWNER.proof("GET", URL, clock.now),
        OWNER.proof("POST", URL, clock.now, access_token=token),
        OWNER.proof("GET", URL + "/1", clock.now, access_token=token),
        "rubbish",
        "",
    ):
        with pytest.raises(InvalidAccessToken) as refused:
            auth.verify(token, proof=wrong, method="GET", url=URL)
        assert refused.value.code == "invalid_dpop_proof"


def test_an_unbound_access_token_is_as_ever(auth: Tenure, clock: Clock) -> None:
    token = auth.login("ada").access_token
    assert auth.verify(token).thumbprint is None
    proof = OWNER.proof("GET", URL, clock.now, access_token=token)
    with pytest.raises(InvalidAccessToken, match="not bound"):
        auth.verify(token, proof=proof, method="GET", url=URL)


def test_4_without_the_key_a_thief_completes_no_refresh_and_disturbs_nobody(
    make: Callable[..., Tenure], store_url: str, clock: Clock
) -> None:
    """All that owner and thief can do, in each order of five steps. The thief has each token as soon as its owner."""
    if store_url != "memory://":
        pytest.skip("the stores are alike by the conformance suite")
    auth = make(on_event=None)

    def thief(tokens: list[str], which: int, thumbprint: str | None, attempt: str | None) -> None:
        with pytest.raises(StolenTokenRefused):
            auth.refresh(tokens[which], thumbprint=thumbprint, attempt=attempt)

    steps: dict[str, Any] = {
        "owner": None,
        "owner loses": None,
        "newest": (-1, None, None),
        "newest, own key": (-1, THIEF.thumbprint, None),
        "oldest, attempt key": (0, None, "attempt-of-the-owner-0"),
    }
    for number, order in enumerate(itertools.product(steps, repeat=5)):
        tokens, attempts = [auth.login(f"user-{number}", thumbprint=OWNER.thumbprint).refresh_token], 0
        for step in order:
            clock.advance(31)
            if step.startswith("owner"):
                attempt = f"attempt-of-the-owner-{attempts}"
                pair = auth.refresh(tokens[-1], thumbprint=OWNER.thumbprint, attempt=attempt)
                if step == "owner":
                    tokens.append(pair.refresh_token)
                    attempts += 1
            else:
                thief(tokens, *steps[step])
        assert auth.refresh(
            tokens[-1], thumbprint=OWNER.thumbprint, attempt=f"attempt-of-the-owner-{attempts}"
        ).token_type == "DPoP"  # fmt: skip
