"""Tenure beside its peers: the same PostgreSQL, the same machine, the same callers, each through its HTTP endpoint.

Each peer is a minimal project of its own, configured as its documentation says, with rotation and reuse detection on:
`simplejwt.py`, `oauth_toolkit.py`. `compare.py` runs them and asks the same of all. `python -m benchmarks peers`.
"""

from benchmarks.peers.compare import main

__all__ = ["main"]
