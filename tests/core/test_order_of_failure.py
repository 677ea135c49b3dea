"""What can fail comes before what is written: nobody's token is used up for an answer that can't be made."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from tenure import ConfigurationError, SessionEnded, StoreUnavailable, Tenure, Verifier
from tenure.core.access import MAX_ISSUED_CHARS
from tenure.core.calls import Call, Create
from tenure.core.errors import ApplicationFailed, TenureError
from tenure.stores.memory import MemoryStore
from tests.conftest import AUDIENCE, ISSUER, Clock


class Database:
    """The application's own, which may be down."""

    def __init__(self) -> None:
        self.answer: Any = {}

    def __call__(self, _: object) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_an_outage_of_the_applications_database_logs_nobody_out(
    make: Callable[..., Tenure], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database()
    auth = make(claims=database)
    pair = auth.refresh(auth.login("user-42").refresh_token)
    database.answer = OSError("the database is down")
    for _ in range(3):
        with pytest.raises(ApplicationFailed, match=r"Nothing has changed") as failed:
            auth.refresh(pair.refresh_token)  # no attempt key
        assert isinstance(failed.value.__cause__, OSError)
        clock.advance(60)  # beyond the leeway
    assert "Traceback" in caplog.text
    assert "the application's claims failed" in caplog.text
    database.answer = {"roles": ["editor"]}
    assert auth.verify(auth.refresh(pair.refresh_token).access_token)["roles"] == ["editor"]


def test_an_outage_at_login_makes_no_session(make: Callable[..., Tenure]) -> None:
    database = Database()
    database.answer = OSError("the database is down")
    auth = make(claims=database)
    with pytest.raises(ApplicationFailed):
        auth.login("user-42")
    assert auth.sessions("user-42") == ()


@pytest.mark.parametrize(
    "answer",
    [
        ["admin"],
        "admin",
        7,
        {"sub": "admin"},
        {"when": object()},
        {"x": float("nan")},
        {"x": "\ud800"},
        {"x": "y" * 20000},
    ],
)
def test_claims_that_no_token_can_carry_use_up_no_refresh_token(
    make: Callable[..., Tenure], clock: Clock, answer: Any
) -> None:
    database = Database()
    auth = make(claims=database)
    pair = auth.login("user-42")
    database.answer = answer
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            auth.refresh(pair.refresh_token)
        clock.advance(60)
    database.answer = {}
    auth.refresh(pair.refresh_token)


def test_an_account_that_is_gone_is_not_moved_but_ended(make: Callable[..., Tenure], clock: Clock) -> None:
    database = Database()
    auth = make(claims=database)
    pair = auth.login("user-42")
    clock.advance(1)
    database.answer = None
    with pytest.raises(SessionEnded):
        auth.refresh(pair.refresh_token)
    assert auth.audit("user-42")[0].reason == "account_gone"


def test_without_a_signing_key_nothing_is_written(make: Callable[..., Tenure]) -> None:
    auth = make()
    pair = auth.login("user-42")
    ring = auth.issuer.ring
    auth.issuer.ring = type(ring)()
    with pytest.raises(StoreUnavailable):
        auth.refresh(pair.refresh_token)
    with pytest.raises(StoreUnavailable):
        auth.login("user-42")
    auth.issuer.ring = ring
    (session,) = auth.sessions("user-42")
    assert session.head.generation == 0


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_what_is_issued_can_be_used(make: Callable[..., Tenure], clock: Clock, algorithm: str) -> None:
    """The longest token that can be had is taken by a verifier, whatever signs it; a longer one is refused at login."""
    auth = make(algorithm=algorithm)
    longest, too_long = 0, 8192
    while too_long - longest > 1:
        length = (longest + too_long) // 2
        try:
            pair = auth.login("user-42", claims={"x": "y" * length})
        except ConfigurationError:
            too_long = length
        else:
            longest = length
            assert len(pair.access_token) <= MAX_ISSUED_CHARS
            assert Verifier(auth.jwks(), ISSUER, AUDIENCE, clock=clock).verify(pair.access_token)["x"]
    assert longest > 5000
    with pytest.raises(ConfigurationError, match=r"a header line holds no more than 8000"):
        auth.login("user-42", claims={"x": "y" * too_long})


def test_claims_are_those_of_the_moment_they_were_given(make: Callable[..., Tenure]) -> None:
    roles = ["editor"]
    auth = make()
    pair = auth.login("user-42", claims={"roles": roles})
    roles.append("admin")
    (session,) = auth.sessions("user-42")
    assert session.claims["roles"] == ["editor"]
    assert auth.verify(auth.refresh(pair.refresh_token).access_token)["roles"] == ["editor"]


class Mute(MemoryStore):
    """Makes a session, and loses the answer."""

    def run(self, call: Call[Any]) -> Any:
        answer = super().run(call)
        if isinstance(call, Create):
            raise StoreUnavailable
        return answer


def test_a_session_whose_login_was_never_answered_is_ended(make: Callable[..., Tenure], clock: Clock) -> None:
    auth = make(store=Mute())
    with pytest.raises(StoreUnavailable):
        auth.login("user-42")
    assert len(auth.sessions("user-42")) == 1
    clock.advance(1)
    auth.run(auth._upkeep())
    assert auth.sessions("user-42") == ()
    assert auth.audit("user-42")[0].reason == "login_unanswered"


def test_blocking_code_says_that_it_can_not_ask_async_functions(make: Callable[..., Tenure]) -> None:
    async def claims(_: object) -> dict[str, Any]:
        return {}

    with pytest.raises(ConfigurationError, match=r"claims is asynchronous"):
        make(claims=claims).login("user-42")


def test_errors_of_tenure_that_the_application_raises_pass(
    make: Callable[..., Tenure], caplog: pytest.LogCaptureFixture
) -> None:
    database = Database()
    database.answer = TenureError("as it was said")
    with caplog.at_level(logging.ERROR), pytest.raises(TenureError, match=r"as it was said"):
        make(claims=database).login("user-42")
    assert caplog.text == ""
