"""A real service: `tenure serve` in a process of its own, on a free port."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2

PASSWORD = "correct horse battery"


def environment(**settings: str) -> dict[str, str]:
    """This process's environment, with these settings and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_")}
    return {**clean, **{f"TENURE_{name.upper()}": value for name, value in settings.items()}}


def tenure(folder: Path, *arguments: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `tenure` in `folder` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tenure", *arguments],
        cwd=folder,
        env=environment(**settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def service(folder: Path, *flags: str, **settings: str) -> Iterator[str]:
    """Serve from `folder`; gives the service's address. Ends it by SIGTERM, and expects it to go in peace."""
    port = free_port()
    log = folder / "service.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tenure", "serve", "--port", str(port), *flags],
            cwd=folder,
            env=environment(**settings),
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(process, url, log)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM), log.read_text()


def wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    for _ in range(400):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
