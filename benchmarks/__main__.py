"""`python -m benchmarks [NAME …]`: all figures, or those of the named modules, as JSON lines. Takes some minutes."""

import importlib
import subprocess
import sys

from benchmarks.report import machine, report

NAMES = [
    "refresh",
    "checks",
    "http",
    "layers",
    "client",
    "growth",
    "postgres",
    "valkey",
    "instances",
    "circumstances",
    "endings",
    "policies",
    "sessions",
    "peer",
    "peers",
]

if __name__ == "__main__":
    unknown = sorted(set(sys.argv[1:]) - set(NAMES))
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(unknown)}: there are {', '.join(NAMES)}.")
    if len(sys.argv) == 2 and sys.argv[1] in NAMES:
        importlib.import_module(f"benchmarks.{sys.argv[1]}").main()
    else:
        report("machine", **machine())
        for name in sys.argv[1:] or NAMES:
            # Each in a process of its own: what one leaves in memory slows the next one down.
            subprocess.run([sys.executable, "-m", "benchmarks", name], check=True)
