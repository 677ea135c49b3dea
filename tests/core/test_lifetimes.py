"""Lifetimes by login, policies that change, and authenticating once more (RFC 9470)."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenure import (
    Authentication,
    ConfigurationError,
    InsufficientAuthentication,
    InvalidAccessToken,
    InvalidRequest,
    Lifetime,
    Policy,
    SessionEnded,
    StoreUnavailable,
    Tenure,
    Verifier,
    acr,
    recent,
)
from tenure.core.calls import Call, Shorten
from tenure.core.policy import DAY, HOUR, MINUTE
from tenure.stores.memory import MemoryStore
from tests.conftest import AUDIENCE, ISSUER, SECRET, Clock

KIOSK = Lifetime(idle_ttl=20 * MINUTE, absolute_ttl=HOUR, outlives_browser=False)


@pytest.mark.parametrize(
    ("lifetime", "idle", "absolute", "outlives"),
    [
        ("", 14 * DAY, 90 * DAY, True),
        ("remembered", 14 * DAY, 90 * DAY, True),
        ("browser", 2 * HOUR, DAY, False),
        ("kiosk", 20 * MINUTE, HOUR, False),
    ],
)
def test_a_login_chooses_its_lifetime(
    make: Callable[..., Tenure], clock: Clock, lifetime: str, idle: float, absolute: float, outlives: bool
) -> None:
    auth = make(policy=Policy(lifetimes={"kiosk": KIOSK}))
    began = clock.now
    pair = auth.login("user-42", lifetime=lifetime)
    for _ in range(3):
        lasts = min(idle, began + absolute - clock.now)
        assert (pair.refresh_expires_in, pair.outlives_browser) == (lasts, outlives)
        assert pair.authorization_expires_in == began + absolute - clock.now
        clock.advance(10 * MINUTE)
        pair = auth.refresh(pair.refresh_token)
    (session,) = auth.sessions("user-42")
    assert (session.lifetime, session.idle_ttl) == (lifetime, idle)
    clock.advance(idle + 1)
    with pytest.raises(SessionEnded, match="expired"):
        auth.refresh(pair.refresh_token)


def test_a_retry_keeps_the_choice(make: Callable[..., Tenure], clock: Clock) -> None:
    auth = make()
    first = auth.login("user-42", lifetime="browser")
    attempt = "the-attempt-key-of-a-refresh"
    auth.refresh(first.refresh_token, attempt=attempt)
    clock.advance(60)
    again = auth.refresh(first.refresh_token, attempt=attempt)
    assert (again.outlives_browser, again.refresh_expires_in) == (False, 2 * HOUR - 60)


@pytest.mark.parametrize("wrong", ["for ever", "Remembered", 5, None, ["browser"]])
def test_an_unknown_lifetime_is_refused(make: Callable[..., Tenure], wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match="browser, remembered"):
        make().login("user-42", lifetime=wrong)


@pytest.mark.parametrize(
    ("lifetimes", "said"),
    [
        ({"kiosk": Lifetime(idle_ttl=HOUR, absolute_ttl=MINUTE)}, "lifetimes.kiosk.idle_ttl must not be longer"),
        ({"kiosk": Lifetime(idle_ttl=MINUTE, absolute_ttl=HOUR)}, "access_ttl must be shorter than lifetimes.kiosk"),
        ({"kiosk": Lifetime(idle_ttl=0, absolute_ttl=HOUR)}, "lifetimes.kiosk.idle_ttl is at least"),
        ({"kiosk": Lifetime(idle_ttl=HOUR, absolute_ttl=float("nan"))}, "absolute_ttl is a number"),
        ({"kiosk": {"idle_ttl": HOUR, "absolute_ttl": DAY, "outlives_browser": "no"}}, "true or false"),
        ({"kiosk": {"idle_ttl": HOUR}}, "lifetimes.kiosk: missing"),
        ({"kiosk": {"idle_ttl": HOUR, "absolute_ttl": DAY, "colour": "red"}}, "colour"),
        ({"kiosk": 5}, "lifetimes.kiosk is a Lifetime"),
        ({"Kiosk!": KIOSK}, "lower-case"),
        ({5: KIOSK}, "lower-case"),
        ([KIOSK], "a mapping"),
    ],
)
def test_lifetimes_that_make_no_sense_are_refused(lifetimes: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Policy(lifetimes=lifetimes)


def test_a_policy_is_a_value_like_any_other() -> None:
    policy = Policy(lifetimes={"kiosk": KIOSK})
    stricter = replace(policy, idle_ttl=HOUR, absolute_ttl=DAY)
    assert stricter.lifetime("remembered") == Lifetime(idle_ttl=HOUR, absolute_ttl=DAY)
    assert stricter.lifetime("browser").idle_ttl == HOUR
    assert stricter.lifetime("kiosk") == KIOSK
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert hash(Policy()) == hash(Policy())
    assert Policy() != policy


def test_a_strict_policy_has_no_longer_browser_sessions() -> None:
    policy = Policy(access_ttl=60, idle_ttl=10 * MINUTE, absolute_ttl=HOUR)
    assert policy.lifetime("browser") == Lifetime(idle_ttl=10 * MINUTE, absolute_ttl=HOUR, outlives_browser=False)


@pytest.fixture
def reopen(tmp_path: Path, clock: Clock) -> Callable[[Policy], Tenure]:
    """One store, under one policy after the other."""

    def opened(policy: Policy) -> Tenure:
        return Tenure(
            f"sqlite:///{tmp_path}/kept.db",
            secret=SECRET, issuer=ISSUER, audience=AUDIENCE, policy=policy, clock=clock, poll=3600,
        )  # fmt: skip

    return opened


def test_a_shorter_policy_reaches_sessions_at_their_next_refresh(
    reopen: Callable[[Policy], Tenure], clock: Clock
) -> None:
    with reopen(Policy()) as auth:
        pair = auth.login("user-42")
    began = clock.now
    clock.advance(HOUR)
    with reopen(Policy(idle_ttl=2 * HOUR, absolute_ttl=DAY)) as auth:
        pair = auth.refresh(pair.refresh_token)
        assert (pair.refresh_expires_in, pair.authorization_expires_in) == (2 * HOUR, DAY - HOUR)
        (session,) = auth.sessions("user-42")
        assert (session.idle_ttl, session.ends_at) == (2 * HOUR, began + DAY)
    with reopen(Policy()) as auth:  # and longer again: what was promised is kept, no more
        pair = auth.refresh(pair.refresh_token)
        assert (pair.refresh_expires_in, pair.authorization_expires_in) == (2 * HOUR, DAY - HOUR)


def test_a_policy_under_which_a_session_would_be_over_ends_it(reopen: Callable[[Policy], Tenure], clock: Clock) -> None:
    with reopen(Policy()) as auth:
        pair = auth.login("user-42")
    clock.advance(2 * DAY)
    with reopen(Policy(idle_ttl=HOUR, absolute_ttl=DAY)) as auth:
        with pytest.raises(SessionEnded, match="expired"):
            auth.refresh(pair.refresh_token)
        assert auth.sessions("user-42") == ()


def test_a_lifetime_that_is_gone_is_the_usual_one(reopen: Callable[[Policy], Tenure]) -> None:
    with reopen(Policy(lifetimes={"kiosk": KIOSK})) as auth:
        pair = auth.login("user-42", lifetime="kiosk")
    with reopen(Policy()) as auth:
        pair = auth.refresh(pair.refresh_token)
        assert (pair.refresh_expires_in, pair.outlives_browser) == (20 * MINUTE, True)


def test_a_store_that_fails_to_shorten_costs_nobody_the_answer(clock: Clock) -> None:
    class Failing(MemoryStore):
        def run(self, call: Call[Any]) -> Any:
            if isinstance(call, Shorten):
                raise StoreUnavailable
            return super().run(call)

    store = Failing()
    settings: dict[str, Any] = {"secret": SECRET, "issuer": ISSUER, "audience": AUDIENCE, "clock": clock, "poll": 3600}
    pair = Tenure(store, **settings).login("user-42")
    shorter = Tenure(store, policy=Policy(idle_ttl=HOUR, absolute_ttl=DAY), **settings)
    for _ in range(2):
        pair = shorter.refresh(pair.refresh_token)
        assert pair.refresh_expires_in == HOUR
        clock.advance(MINUTE)


# Authenticating once more


def test_the_next_access_token_says_that_the_user_was_authenticated_again(auth: Tenure, clock: Clock) -> None:
    pair = auth.login("user-42", acr="loa1", amr=["pwd"])
    claims = auth.verify(pair.access_token)
    assert (claims["auth_time"], claims["acr"], claims["amr"]) == (clock.now, "loa1", ["pwd"])
    began = clock.now
    clock.advance(400)
    with pytest.raises(InsufficientAuthentication) as refused:
        auth.verify(pair.access_token, needs=recent(minutes=5))
    assert refused.value.max_age == 300
    session = auth.stepped_up(pair.session_id, acr="phr", amr=["pwd", "hwk"])
    assert session.authentication == Authentication(clock.now, "phr", ("pwd", "hwk"))
    pair = auth.refresh(pair.refresh_token)
    claims = auth.verify(pair.access_token, needs=recent(minutes=5))
    assert (claims["auth_time"], claims["acr"], claims["amr"]) == (clock.now, "phr", ["pwd", "hwk"])
    assert claims["began"] == began
    assert auth.verify(pair.access_token, needs=acr("phr", "phrh")) == claims
    with pytest.raises(InsufficientAuthentication) as refused:
        auth.verify(pair.access_token, needs=acr("phrh"))
    assert refused.value.challenge() == (
        'Bearer realm="tenure", error="insufficient_user_authentication", '
        'error_description="Authenticate once more for this.", acr_values="phrh"'
    )
    assert isinstance(refused.value, InvalidAccessToken)


def test_a_login_says_when_it_was_and_no_more(auth: Tenure, clock: Clock) -> None:
    claims = auth.verify(auth.login("user-42").access_token, needs=recent(seconds=1))
    assert claims["auth_time"] == clock.now
    assert not {"acr", "amr", "began"} & set(claims.raw)


def test_the_verifier_asks_for_the_same(auth: Tenure, clock: Clock) -> None:
    verifier = Verifier(auth.jwks(), issuer=ISSUER, audience=AUDIENCE, clock=clock)
    token = auth.login("user-42", acr="phr").access_token
    assert verifier.verify(token, needs=acr("phr")).subject == "user-42"
    clock.advance(61)
    with pytest.raises(InsufficientAuthentication):
        verifier.verify(token, needs=recent(minutes=1))


def test_everybodys_log_out_reaches_who_was_authenticated_again(auth: Tenure, clock: Clock) -> None:
    pair = auth.login("user-42")
    clock.advance(100)
    auth.stepped_up(pair.session_id)
    pair = auth.refresh(pair.refresh_token)
    auth.revoke_where(before=clock.now - 50)
    with pytest.raises(InvalidAccessToken, match="ended"):
        auth.verify(pair.access_token)


def test_only_a_live_session_is_stepped_up(auth: Tenure) -> None:
    pair = auth.login("user-42")
    auth.revoke(pair.session_id)
    for gone in (pair.session_id, "0" * 32, "no id", ""):
        with pytest.raises(SessionEnded):
            auth.stepped_up(gone)


@pytest.mark.parametrize(
    "wrong",
    [{"acr": ""}, {"acr": "two words"}, {"acr": 5}, {"acr": 'a"b'}, {"acr": "x" * 101}, {"amr": "pwd"}, {"amr": [5]},
     {"amr": ["pwd", ""]}, {"amr": 7}, {"amr": ["x"] * 11}, {"amr": ["\0"]}],
)  # fmt: skip
def test_how_is_said_by_names(auth: Tenure, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        auth.login("user-42", **wrong)
    pair = auth.login("user-42")
    with pytest.raises(InvalidRequest):
        auth.stepped_up(pair.session_id, **wrong)


@pytest.mark.parametrize(
    "make_requirement",
    [
        lambda: recent(), lambda: recent(minutes=-1), lambda: recent(minutes=float("nan")),
        lambda: recent(minutes=True),
        lambda: recent(minutes="5"), lambda: acr(), lambda: acr(""), lambda: acr(5), lambda: acr("a b"),
        lambda: acr('"'), lambda: recent(seconds=float("inf")), lambda: acr("é"), lambda: acr("a,b"),
    ],
)  # fmt: skip
def test_a_requirement_that_requires_nothing_is_refused(make_requirement: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError):
        make_requirement()
