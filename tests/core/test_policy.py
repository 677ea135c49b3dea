"""The policy refuses nonsense when it is made, with a sentence that names what is wrong."""

import math
from typing import Any

import pytest

from tenure import NIST_AAL1, NIST_AAL2, NIST_AAL3, ConfigurationError, Policy

MINUTE, HOUR, DAY = 60, 3600, 86400


def test_the_defaults() -> None:
    policy = Policy()
    assert (policy.access_ttl, policy.idle_ttl, policy.absolute_ttl) == (10 * MINUTE, 14 * DAY, 90 * DAY)
    assert (policy.leeway, policy.rollback, policy.clock_skew) == (30, "proof", 0)
    assert (policy.max_sessions, policy.at_limit) == (None, "end_oldest")
    assert (policy.signing_key_ttl, policy.signing_key_prepublish) == (30 * DAY, HOUR)


@pytest.mark.parametrize(
    ("preset", "idle", "absolute"),
    [(NIST_AAL1, 14 * DAY, 30 * DAY), (NIST_AAL2, 30 * MINUTE, 12 * HOUR), (NIST_AAL3, 15 * MINUTE, 12 * HOUR)],
)
@pytest.mark.asvs("7.1.1")
def test_the_presets_keep_to_nist_sp_800_63b(preset: Policy, idle: float, absolute: float) -> None:
    assert (preset.idle_ttl, preset.absolute_ttl) == (idle, absolute)
    assert preset.access_ttl <= 10 * MINUTE


def test_the_presets_access_tokens_live_minutes() -> None:
    assert (NIST_AAL2.access_ttl, NIST_AAL3.access_ttl) == (5 * MINUTE, 2 * MINUTE)


NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"access_ttl": 0}, "access_ttl is at least 1 seconds, not 0."),
    ({"idle_ttl": 0.5}, "idle_ttl is at least 1 seconds, not 0.5."),
    ({"leeway": -1}, "leeway is at least 0 seconds, not -1."),
    ({"clock_skew": -1}, "clock_skew is at least 0 seconds, not -1."),
    ({"access_ttl": "10m"}, "access_ttl is a number of seconds."),
    ({"access_ttl": True}, "access_ttl is a number of seconds."),
    ({"absolute_ttl": math.inf}, "absolute_ttl is a number of seconds."),
    ({"leeway": math.nan}, "leeway is a number of seconds."),
    ({"leeway": None}, "leeway is a number of seconds."),
    ({"rollback": "maybe"}, 'rollback is "proof" or "tag", not \'maybe\'.'),
    ({"at_limit": "panic"}, 'at_limit is "end_oldest" or "refuse_login", not \'panic\'.'),
    ({"max_sessions": 0}, "max_sessions is a whole number from 1, or None for no limit."),
    ({"max_sessions": 1.5}, "max_sessions is a whole number from 1, or None for no limit."),
    ({"max_sessions": True}, "max_sessions is a whole number from 1, or None for no limit."),
    (
        {"access_ttl": 100, "idle_ttl": 100},
        "access_ttl must be shorter than idle_ttl: otherwise the session has ended before its first refresh is due.",
    ),
    (
        {"leeway": 100, "idle_ttl": 100, "access_ttl": 50},
        "leeway must be shorter than idle_ttl: the leeway is for a lost response, not for an absence.",
    ),
    (
        {"clock_skew": 600},
        "clock_skew must be shorter than access_ttl: otherwise an access token would live more than twice its "
        "lifetime.",
    ),
    (
        {"signing_key_prepublish": 30 * DAY},
        "signing_key_prepublish must be shorter than signing_key_ttl: otherwise a key would be replaced before it "
        "signs.",
    ),
    (
        {"idle_ttl": 91 * DAY},
        "idle_ttl must not be longer than absolute_ttl: a session can't be idle for longer than it may live.",
    ),
]


@pytest.mark.parametrize(("settings", "sentence"), NONSENSE)
def test_nonsense_is_refused_with_a_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Policy(**settings)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    "settings",
    [
        {"leeway": 0, "clock_skew": 0},
        {"access_ttl": 1, "idle_ttl": 2, "absolute_ttl": 2, "leeway": 1},
        {"idle_ttl": 90 * DAY},
        {"max_sessions": 1, "at_limit": "refuse_login", "rollback": "tag"},
    ],
)
def test_the_edges_of_sense_are_allowed(settings: dict[str, Any]) -> None:
    Policy(**settings)
