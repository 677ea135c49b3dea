"""What each policy for refresh tokens costs: false log-outs of honest clients, and how long a thief stays in.

The same lives of the same clients and thieves are played against each policy of the field, as its documentation
describes it. All that is assumed stands in ASSUMED; the seed is fixed. `python -m benchmarks policies` prints the
figures as JSON lines.
"""

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from benchmarks.report import report
from tenure.core.family import Head, Verdict, judge
from tenure.core.tokens import RefreshToken, first_token, nonce_hash

SECOND, MINUTE, HOUR, DAY = 1.0, 60.0, 3600.0, 86400.0
SEED = 42

ASSUMED = {
    "refreshes a day": 20,  # an access token of ten minutes, three hours and a half of use
    "answers lost": 0.001,  # of refreshes: the server has committed, the client has heard nothing
    "asked again at once": 0.70,  # of those: within seconds, by a retry of the HTTP client
    "asked again later": 0.20,  # within minutes: the user tries again
    "asked again after sleep": 0.10,  # after hours: a closed lid, a phone without a network
    "two at once": 0.01,  # of refreshes: two tabs or processes present the same token, without a lock between them
    "days": 90,  # of a session, at the most
    "the thief waits": 5 * SECOND,  # copies the tokens right after a refresh of the owner, and uses them at once
}


@dataclass
class Answer:
    """What a refresh brings: another token, or None where the session is over."""

    token: object | None


class Policy:
    """A server's side of one session."""

    name = ""

    def begin(self) -> object:
        """The first token."""
        raise NotImplementedError

    def present(self, token: object, now: float, attempt: object) -> Answer:
        """A refresh at `now`, in seconds. attempt: names this refresh, the same for each try of it."""
        raise NotImplementedError


@dataclass
class NoRotation(Policy):
    name = "no rotation"

    def begin(self) -> object:
        return 0

    def present(self, token: object, now: float, attempt: object) -> Answer:
        return Answer(token)


@dataclass
class Window(Policy):
    """Strict rotation with a window: a used token goes on for so long after its first use, each time with a line of its
    own; after that, it ends the session."""

    window: float
    used_at: dict[object, float] = field(default_factory=dict)
    over: bool = False
    made: int = 0

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"grace window of {self.window:g} s" if self.window else "strict rotation"

    def begin(self) -> object:
        return 0

    def present(self, token: object, now: float, attempt: object) -> Answer:
        if self.over or (token in self.used_at and now - self.used_at[token] >= self.window):
            self.over = True
            return Answer(None)
        self.used_at.setdefault(token, now)
        self.made += 1
        return Answer(self.made)


@dataclass
class ParentUntilUsed(Policy):
    """The parent is good until one of its children is used; what is older ends the session."""

    name = "parent until the child is used"
    parent: dict[object, object] = field(default_factory=dict)
    head: object = 0
    over: bool = False
    made: int = 0

    def begin(self) -> object:
        return 0

    def present(self, token: object, now: float, attempt: object) -> Answer:
        if self.parent.get(token) == self.head:
            self.head = token
        if self.over or token != self.head:
            self.over = True
            return Answer(None)
        self.made += 1
        self.parent[self.made] = token
        return Answer(self.made)


@dataclass
class Tenure(Policy):
    """tenure's own judge."""

    leeway: float
    keys: bool
    over: bool = False
    head: Head = field(default_factory=lambda: Head(0, nonce_hash(b"s" * 16, b"r" * 16), None, 0.0))
    made: int = 0

    @property
    def name(self) -> str:  # type: ignore[override]
        return "tenure, with attempt keys" if self.keys else f"tenure, leeway of {self.leeway:g} s only"

    def begin(self) -> object:
        return first_token(b"s" * 16, b"r" * 16, self._nonce())

    def present(self, token: object, now: float, attempt: object) -> Answer:
        assert isinstance(token, RefreshToken)
        key = repr(attempt).encode() if self.keys and attempt is not None else None
        verdict = judge(self.head, token, key, now, self.leeway)
        if self.over or verdict in (Verdict.REUSE, Verdict.REFUSE):
            self.over = True
            return Answer(None)
        if verdict is Verdict.ROTATE:
            self.head = Head(token.generation, nonce_hash(token.session_id, token.nonce), key, now)
        return Answer(token.child(self._nonce()))

    def _nonce(self) -> bytes:
        self.made += 1
        return self.made.to_bytes(16, "big")


POLICIES: list[Callable[[], Policy]] = [
    NoRotation,
    lambda: Window(0.0),
    lambda: Window(10.0),
    lambda: Window(60.0),
    ParentUntilUsed,
    lambda: Tenure(30.0, keys=False),
    lambda: Tenure(30.0, keys=True),
]


def honest_life(policy: Policy, luck: random.Random) -> float | None:
    """Live with one session for its days. Answers when it was lost, or None."""
    token, now, attempts = policy.begin(), 0.0, 0
    while now < ASSUMED["days"] * DAY:
        now += luck.expovariate(ASSUMED["refreshes a day"] / DAY)
        fate, twice, delay = luck.random(), luck.random(), retry_delay(luck)
        attempts += 1
        answer = policy.present(token, now, attempts)
        if answer.token is None:
            return now
        if fate < ASSUMED["answers lost"]:
            now += delay
            answer = policy.present(token, now, attempts)  # the same refresh, with the same key
        elif twice < ASSUMED["two at once"]:
            attempts += 1
            answer = policy.present(token, now + 0.2, attempts)  # the later answer is the one that is kept
        if answer.token is None:
            return now
        token = answer.token
    return None


def retry_delay(luck: random.Random) -> float:
    """How long after a lost answer the client asks again, in seconds."""
    kind = luck.random()
    if kind < ASSUMED["asked again at once"]:
        return luck.uniform(0.5, 5.0)
    if kind < ASSUMED["asked again at once"] + ASSUMED["asked again later"]:
        return luck.uniform(30.0, 15 * MINUTE)
    return luck.uniform(1 * HOUR, 12 * HOUR)


def thiefs_stay(policy: Policy, luck: random.Random) -> float:
    """For how long a thief stays in who copies everything once, right after a refresh of the owner, in seconds.

    They hold the token that was just used and the new one, and try both: first the older one, which a window believes.
    """
    owner, now = policy.begin(), 0.0
    for attempt in range(10):
        now += luck.expovariate(ASSUMED["refreshes a day"] / DAY)
        used, owner = owner, policy.present(owner, now, attempt).token
    stolen_at = now + ASSUMED["the thief waits"]
    stays = []
    for copied in (used, owner):
        world = replace_world(policy)
        stays.append(both_live_on(world, owner, copied, stolen_at, random.Random(luck.random())))
    return max(stays)


def both_live_on(policy: Policy, owner: object, thief: object, since: float, luck: random.Random) -> float:
    """Owner and thief refresh, each in their own time. Answers how long the thief's tokens were good."""
    end = ASSUMED["days"] * DAY
    thief = policy.present(thief, since, "thief 0").token
    if thief is None:
        return 0.0
    turns = [(since + luck.expovariate(ASSUMED["refreshes a day"] / DAY), "owner"), (since + 9 * MINUTE, "thief")]
    count, good_until = 0, since + 10 * MINUTE
    while turns:
        turns.sort()
        now, who = turns.pop(0)
        count += 1
        if now > end:
            return end - since
        answer = policy.present(owner if who == "owner" else thief, now, f"{who} {count}").token
        if answer is None:
            return good_until - since
        if who == "owner":
            owner = answer
            turns.append((now + luck.expovariate(ASSUMED["refreshes a day"] / DAY), who))
        else:
            thief, good_until = answer, now + 10 * MINUTE
            turns.append((now + 9 * MINUTE, who))
    return end - since


def replace_world(policy: Policy) -> Policy:
    """A copy of the server's side, so that the thief's two tries are two worlds."""
    copied: Policy = replace(policy)  # type: ignore[type-var]
    for name, value in vars(policy).items():
        setattr(copied, name, dict(value) if isinstance(value, dict) else value)
    return copied


def figures(lives: int = 4000, thefts: int = 400) -> list[tuple[str, float, float, float]]:
    """Of each policy: false log-outs per 1,000 user-years; of a thief's stay the median and 19 of 20, in hours."""
    found = []
    for make in POLICIES:
        lost = [honest_life(make(), random.Random(SEED + number)) for number in range(lives)]
        years = sum(ASSUMED["days"] if end is None else end / DAY for end in lost) / 365
        stays = [thiefs_stay(make(), random.Random(SEED + number)) / HOUR for number in range(thefts)]
        false = 1000 * sum(end is not None for end in lost) / years
        found.append((make().name, false, statistics.median(stays), statistics.quantiles(stays, n=20)[-1]))
    return found


def main() -> None:
    for name, false, median, long in figures():
        report(f"{name}: false log-outs per 1,000 user-years", value=false)
        report(f"{name}: a thief's stay, hours, median", value=median)
        report(f"{name}: a thief's stay, hours, 19 of 20 within", value=long)
