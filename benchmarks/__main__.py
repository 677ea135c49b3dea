"""`python -m benchmarks [NAME …]`: all figures, or those of the named modules, as JSON lines. Takes some minutes."""

import importlib
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
    "sessions",
    "peer",
    "peers",
]

if __name__ == "__main__":
    report("machine", **machine())
    for name in sys.argv[1:] or NAMES:
        importlib.import_module(f"benchmarks.{name}").main()
