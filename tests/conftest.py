"""What the tests share: a clock that stands still until it is told, and deployments on each store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tenure import Event, Tenure
from tests import forks

SECRET = "correct-horse-battery-staple-0123456789"
ISSUER = "https://api.example.com"
AUDIENCE = "api"


class Clock:
    """Seconds, UTC, under the test's control."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture(params=["memory", "sqlite"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/tenure.db"


@pytest.fixture
def make(store_url: str, clock: Clock, events: list[Event]) -> Iterator[Callable[..., Tenure]]:
    """Make a deployment on the store under test; closed when the test ends."""
    made: list[Tenure] = []

    def make_one(**settings: object) -> Tenure:
        defaults = {
            "store": store_url,
            "secret": SECRET,
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "clock": clock,
            "on_event": events.append,
            "poll": 3600.0,
        }
        made.append(Tenure(**{**defaults, **settings}))
        return made[-1]

    yield make_one
    for one in made:
        one.close()


@pytest.fixture
def auth(make: Callable[..., Tenure]) -> Tenure:
    return make()


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """For tests that fork."""
    with forks.unmeasured():
        yield
