"""Metrics for Prometheus: events, refusals, how long the store takes, how soon revocations arrive.

Each worker process counts; several are summed through files that they share. Metrics have a port of their own, which
must not be public.
"""

import os
import tempfile
from functools import singledispatch

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from tenure.core.errors import ConfigurationError
from tenure.core.events import Event
from tenure.core.observations import (
    BATCH_SIZES,
    LAG_SECONDS,
    STORE_SECONDS,
    Answered,
    Committed,
    HeardRevoked,
    Observation,
    Refused,
)

SHARED_FILES = "PROMETHEUS_MULTIPROC_DIR"

EVENTS = Counter(
    "tenure_events",
    "Events: refreshes by verdict, logins, ends of sessions; by what their sessions are bound to.",
    ["kind", "reason", "bound"],
)
REFUSED = Counter("tenure_refused", "Refused requests, by OAuth error code and reason.", ["code", "reason"])
STORE = Histogram("tenure_store_seconds", "How long a call to the store takes.", ["call"], buckets=STORE_SECONDS)
UNAVAILABLE = Counter("tenure_store_unavailable", "Calls to which the store did not respond.", ["call"])
BATCHES = Histogram("tenure_store_batch_size", "How many calls were committed together.", buckets=BATCH_SIZES)
LAG = Histogram(
    "tenure_revocation_lag_seconds", "From a session's end until this instance heard of it.", buckets=LAG_SECONDS
)


def registry_of(workers: int) -> CollectorRegistry:
    """What the counts of all workers are read from. Call this before they start."""
    if workers == 1:
        return REGISTRY
    os.environ[SHARED_FILES] = tempfile.mkdtemp(prefix="tenure-metrics-")
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


def serve_metrics(port: int, host: str, registry: CollectorRegistry) -> None:
    """Serve metrics on a port of its own. Raises ConfigurationError."""
    try:
        start_http_server(port, host, registry)
    except OSError as problem:
        raise ConfigurationError(f"metrics_port {port} on {host} can't be listened on: {problem.strerror}.") from None


@singledispatch
def observe(observation: Observation) -> None:
    """An observer that counts for Prometheus."""
    raise NotImplementedError


@observe.register
def _(event: Event) -> None:
    EVENTS.labels(event.kind, event.reason or "", event.bound or "").inc()


@observe.register
def _(refused: Refused) -> None:
    REFUSED.labels(refused.code, refused.reason or "").inc()


@observe.register
def _(answered: Answered) -> None:
    STORE.labels(answered.call).observe(answered.seconds)
    if not answered.available:
        UNAVAILABLE.labels(answered.call).inc()


@observe.register
def _(committed: Committed) -> None:
    BATCHES.observe(committed.size)


@observe.register
def _(heard: HeardRevoked) -> None:
    LAG.observe(heard.lag)
