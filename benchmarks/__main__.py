"""`python -m benchmarks [NAME …]`: all figures, or those of the named modules, as JSON lines. Takes some minutes."""

import importlib
import subprocess
import sys

from benchmarks.report import machine, report

OTHERS = ["policies"]  # a simulation, with a page of its own
NAMES = [
    "refresh",
    "checks",
    "http",
    "layers",
    "binding",
    "instructions",
    "herd",
    "client",
    "growth",
    "postgres",
    "mysql",
    "valkey",
    "instances",
    "circumstances",
    "endings",
    "sessions",
    "peer",
    "peers",
]

if __name__ == "__main__":
    unknown = sorted(set(sys.argv[1:]) - {*NAMES, *OTHERS})
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(unknown)}: there are {', '.join([*NAMES, *OTHERS])}.")
    if len(sys.argv) == 2 and sys.argv[1] in [*NAMES, *OTHERS]:
        importlib.import_module(f"benchmarks.{sys.argv[1]}").main()
    else:
        report("machine", **machine())
        for name in sys.argv[1:] or NAMES:
            # Each in a process of its own: what one leaves in memory slows the next one down.
            subprocess.run([sys.executable, "-m", "benchmarks", name], check=True)
