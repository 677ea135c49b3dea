from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.live import Live


@pytest.fixture
def make_live(tmp_path: Path) -> Iterator[Callable[..., Live]]:
    made: list[Live] = []

    def make(**details: Any) -> Live:
        made.append(Live(tmp_path, **details))
        return made[-1]

    yield make
    for live in made:
        live.close()


@pytest.fixture
def live(make_live: Callable[..., Live]) -> Live:
    return make_live()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries are counted, not waited for."""
    monkeypatch.setattr("tenure.client.sender.FIRST_PAUSE_SECONDS", 0.0)
