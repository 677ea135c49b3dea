"""What Prometheus is told: what happened, what was refused and why, how long the store takes, how news travels.

Counted in each worker process, and added up, where there are several, through files that they share. Served on a port
of its own, which is not for people.
"""

import os
import tempfile
import time
from typing import TypeVar

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from tenure.errors import ConfigurationError, StoreUnavailable, TenureError
from tenure.events import Event
from tenure.stores.group_commit import watch_batches
from tenure.stores.listening import Heard
from tenure.stores.protocol import Call, Store

T = TypeVar("T")

SHARED_FILES = "PROMETHEUS_MULTIPROC_DIR"

_QUICK = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_LAGS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0)

EVENTS = Counter("tenure_events", "What happened: refreshes by verdict, log-ins, ends of sessions.", ["kind", "reason"])
REFUSED = Counter("tenure_refused", "Requests that were refused, by OAuth code and reason.", ["code", "reason"])
STORE = Histogram("tenure_store_seconds", "How long the store takes to answer.", ["call"], buckets=_QUICK)
UNAVAILABLE = Counter("tenure_store_unavailable", "Calls that the store did not answer.", ["call"])
BATCHES = Histogram("tenure_store_batch_size", "How many calls were committed together.", buckets=_SIZES)
LAG = Histogram("tenure_revocation_lag_seconds", "How long after the end of a session it was heard of.", buckets=_LAGS)


def serve_metrics(port: int, host: str, workers: int) -> None:
    """Answer Prometheus on a port of its own, for all workers. Before they start. Raises ConfigurationError."""
    registry: CollectorRegistry = REGISTRY
    if workers > 1:
        os.environ[SHARED_FILES] = tempfile.mkdtemp(prefix="tenure-metrics-")
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    try:
        start_http_server(port, host, registry)
    except OSError as problem:
        raise ConfigurationError(f"metrics_port {port} on {host} can't be listened on: {problem.strerror}.") from None


def count_event(event: Event) -> None:
    """An event hook."""
    EVENTS.labels(event.kind, event.reason or "").inc()


def count_refusal(problem: TenureError) -> None:
    """What an endpoint refuses."""
    REFUSED.labels(problem.code, problem.reason or "").inc()


def watch_news(heard_at: float, revoked_at: float) -> None:
    """What an issuer hears of (seconds, UTC)."""
    LAG.observe(max(0.0, heard_at - revoked_at))


def watch_batch_sizes() -> None:
    """Count how many calls go together, in all stores of this process."""
    watch_batches(BATCHES.observe)


class MeasuredStore:
    """A store that is timed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def run(self, call: Call[T]) -> T:
        """As the store does."""
        begun = time.perf_counter()
        try:
            return self._store.run(call)
        except StoreUnavailable:
            UNAVAILABLE.labels(type(call).__name__).inc()
            raise
        finally:
            STORE.labels(type(call).__name__).observe(time.perf_counter() - begun)

    async def arun(self, call: Call[T]) -> T:
        """As the store does."""
        begun = time.perf_counter()
        try:
            return await self._store.arun(call)
        except StoreUnavailable:
            UNAVAILABLE.labels(type(call).__name__).inc()
            raise
        finally:
            STORE.labels(type(call).__name__).observe(time.perf_counter() - begun)

    def watch(self, heard: Heard) -> None:
        """As the store does."""
        self._store.watch(heard)

    def close(self) -> None:
        """As the store does."""
        self._store.close()
