"""How a figure is printed, and the machine that it belongs to."""

import json
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

SECRET = "a-secret-for-benchmarks-of-32-bytes"
SETTINGS = {"secret": SECRET, "issuer": "https://api.example.com", "audience": "api"}


def report(figure: str, **values: Any) -> None:
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}
    print(json.dumps({"figure": figure, **rounded}), flush=True)


def machine() -> dict[str, Any]:
    """What was measured on: also how long a durable write and a loop of plain Python take, to compare machines by."""
    processor = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), processor)
    return {
        "system": platform.system(),
        "processor": processor,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: version(name) for name in ("cryptography", "joserfc", "uvicorn", "uvloop", "starlette")},
        "fdatasync_us": _fdatasync_us(),
        "python_loop_10m_s": timed(lambda: sum(number for number in range(10_000_000)), 1, 3),
    }


def timed(run: Callable[[], object], calls: int, runs: int = 5) -> float:
    """The median seconds a call, over several runs of `run`, which makes that many calls."""
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        run()
        times.append((time.perf_counter() - begun) / calls)
    return statistics.median(times)


def _fdatasync_us() -> float:
    sync = getattr(os, "fdatasync", os.fsync)
    with tempfile.NamedTemporaryFile(dir=".") as file:

        def write() -> None:
            for place in range(200):
                os.pwrite(file.fileno(), b"x" * 4096, place * 4096)
                sync(file.fileno())

        return timed(write, 200, 3) * 1e6
