"""DESIGN's properties through the public API, on a real SQLite file, with concurrent callers: Hypothesis looks for a
sequence that breaks one."""

import shutil
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tenure import ForgedToken, Policy, SessionEnded, Tenure, TokenPair
from tests.conftest import AUDIENCE, ISSUER, SECRET, Clock

LEEWAY = 30.0


class Sessions(RuleBasedStateMachine):
    """One subject with two devices: a phone, whose token a thief may copy, and a laptop that nobody touches."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.events: list[str] = []
        self.keys = 0

    @initialize(leeway=st.sampled_from([0.0, LEEWAY]))
    def log_in(self, leeway: float) -> None:
        self.auth = Tenure(
            f"sqlite:///{self.folder}/store.db",
            secret=SECRET,
            issuer=ISSUER,
            audience=AUDIENCE,
            policy=Policy(leeway=leeway),
            clock=self.clock,
            on_event=lambda event: self.events.append(event.kind),
            poll=3600,
        )
        self.laptop = self.auth.login("user-42", device="laptop").refresh_token
        self.begin()

    def begin(self) -> None:
        pair = self.auth.login("user-42", device="phone")
        self.session_id, self.token = pair.session_id, pair.refresh_token
        self.attempt: str | None = None
        self.stolen: str | None = None
        self.completed = {"owner": 0, "thief": 0}
        self.ended = False

    def fresh_key(self) -> str:
        self.keys += 1
        return f"attempt-key-number-{self.keys:06d}"

    def present(self, who: str, token: str, attempt: str | None) -> TokenPair | None:
        try:
            pair: TokenPair | None = self.auth.refresh(token, attempt=attempt)
        except SessionEnded:
            pair = None
        if pair is None:
            assert self.stolen is not None or self.ended, "an honest client was logged out"
            self.ended = True
            return None
        assert not self.ended, "an ended family answered"
        assert self.completed["thief" if who == "owner" else "owner"] < 2, "both holders live on"
        return pair

    @rule(passed=st.sampled_from([1.0, LEEWAY + 1, 3600.0]))
    def time_passes(self, passed: float) -> None:
        self.clock.advance(passed)

    @rule(lost=st.booleans())
    def owner_refreshes(self, lost: bool) -> None:
        self.attempt = self.attempt or self.fresh_key()
        pair = self.present("owner", self.token, self.attempt)
        if pair is not None and not lost:
            self.token, self.attempt = pair.refresh_token, None
            self.completed["owner"] += self.stolen is not None

    @rule(callers=st.integers(2, 6))
    def owners_requests_race(self, callers: int) -> None:
        """Several threads present the same token with the same attempt key at the same moment."""
        attempt = self.attempt or self.fresh_key()
        barrier, answers = threading.Barrier(callers), list[TokenPair | None]()

        def ask() -> None:
            barrier.wait()
            answers.append(self.present("owner", self.token, attempt))

        threads = [threading.Thread(target=ask) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == callers, "a caller failed"
        arrived = [pair for pair in answers if pair is not None]
        assert len({pair.refresh_token for pair in arrived}) == len(arrived), "two answers are equal"
        if arrived:
            self.token, self.attempt = arrived[-1].refresh_token, None
            self.completed["owner"] += self.stolen is not None

    @precondition(lambda self: not self.ended and self.stolen is None)
    @rule(with_key=st.booleans())
    def thief_copies_the_token(self, with_key: bool) -> None:
        self.stolen = self.token
        self.stolen_key = self.attempt if with_key else None

    @precondition(lambda self: self.stolen is not None)
    @rule(own_key=st.booleans())
    def thief_refreshes(self, own_key: bool) -> None:
        assert self.stolen is not None
        pair = self.present("thief", self.stolen, self.fresh_key() if own_key else self.stolen_key)
        if pair is not None:
            self.stolen, self.stolen_key = pair.refresh_token, None
            self.completed["thief"] += 1

    @precondition(lambda self: not self.ended)
    @rule()
    def owner_ends_the_session_from_the_list(self) -> None:
        assert self.session_id in [session.id for session in self.auth.sessions("user-42")]
        assert self.auth.revoke(self.session_id)
        self.ended = True

    @precondition(lambda self: self.ended)
    @rule()
    def owner_logs_in_again(self) -> None:
        self.begin()

    @rule()
    def laptop_refreshes(self) -> None:
        self.laptop = self.auth.refresh(self.laptop).refresh_token

    @rule()
    def somebody_presents_rubbish(self) -> None:
        with pytest.raises(ForgedToken):
            self.auth.refresh(self.token[:-4] + "AAAA")

    @invariant()
    def the_list_says_what_is_true(self) -> None:
        if hasattr(self, "auth"):
            devices = sorted(session.device for session in self.auth.sessions("user-42"))
            assert devices == (["laptop"] if self.ended else ["laptop", "phone"])

    def teardown(self) -> None:
        if hasattr(self, "auth"):
            self.auth.close()
        shutil.rmtree(self.folder)


Sessions.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSessions = Sessions.TestCase
