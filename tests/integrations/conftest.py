import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# The examples open their databases where they are imported: not in the folder of whoever runs the tests.
_FOLDER = tempfile.TemporaryDirectory(prefix="tenure-examples-")
os.environ.setdefault("NOTES_STORE", f"sqlite:///{_FOLDER.name}/notes.db")
os.environ.setdefault("NOTES_DATABASE", str(Path(_FOLDER.name) / "notes.sqlite3"))

from examples import fastapi_notes, flask_notes  # noqa: E402 - after the settings that they read


@pytest.fixture(autouse=True)
def _no_notes() -> Iterator[None]:
    yield
    fastapi_notes.NOTES.clear()
    flask_notes.NOTES.clear()
