from collections.abc import Iterator

import pytest

from examples import fastapi_notes, flask_notes


@pytest.fixture(autouse=True)
def _no_notes() -> Iterator[None]:
    yield
    fastapi_notes.NOTES.clear()
    flask_notes.NOTES.clear()
