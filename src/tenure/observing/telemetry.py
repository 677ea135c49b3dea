"""Metrics and traces by OpenTelemetry's API; the application decides where they go.

Metrics: events, refusals, the store's performance. Traces: a span for each store call of a request, and tenure's events
as events of the surrounding span. None of this names a subject, a session or an address.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import metrics, trace

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

Attributes = dict[str, str]


class Telemetry:
    """An observer: `Tenure(…, observers=[Telemetry()])`. The providers are OpenTelemetry's global ones by default."""

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        meter = metrics.get_meter("tenure", meter_provider=meter_provider)
        self._tracer = trace.get_tracer("tenure", tracer_provider=tracer_provider)
        self._events = meter.create_counter("tenure.events", "{event}", "Refreshes by verdict, logins, ends.")
        self._refused = meter.create_counter("tenure.refused", "{request}", "Refused requests.")

        def histogram(name: str, unit: str, description: str, steps: tuple[float, ...]) -> metrics.Histogram:
            return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=steps)

        self._store = histogram("tenure.store.duration", "s", "How long a call to the store takes.", STORE_SECONDS)
        self._batches = histogram("tenure.store.batch_size", "{call}", "Calls committed together.", BATCH_SIZES)
        self._lag = histogram("tenure.revocation.lag", "s", "From a session's end to hearing of it.", LAG_SECONDS)
        self._told: Mapping[type[Any], Callable[[Any], None]] = {
            Event: self._happened,
            Refused: self._was_refused,
            Answered: self._answered,
            Committed: lambda committed: self._batches.record(committed.size),
            HeardRevoked: lambda heard: self._lag.record(heard.lag),
        }

    def __call__(self, observation: Observation) -> None:
        """Report to OpenTelemetry."""
        self._told[type(observation)](observation)

    def _happened(self, event: Event) -> None:
        attributes = _known({"tenure.event": event.kind, "tenure.reason": event.reason, "tenure.bound": event.bound})
        self._events.add(1, attributes)
        trace.get_current_span().add_event(f"tenure.{event.kind}", _known({"tenure.reason": event.reason}))

    def _was_refused(self, refused: Refused) -> None:
        attributes = _known({"error.type": refused.code, "tenure.reason": refused.reason})
        self._refused.add(1, attributes)
        trace.get_current_span().set_attributes(attributes)

    def _answered(self, answered: Answered) -> None:
        error = None if answered.available else "store_unavailable"
        attributes = _known({"db.operation.name": answered.call, "error.type": error})
        self._store.record(answered.seconds, attributes)
        if not trace.get_current_span().get_span_context().is_valid:
            return  # upkeep, every second, is not part of a request
        now = time.time_ns()
        span = self._tracer.start_span(
            f"tenure.store {answered.call}",
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            start_time=now - round(answered.seconds * 1e9),
        )
        if error is not None:
            span.set_status(trace.StatusCode.ERROR)
        span.end(now)


def _known(attributes: Mapping[str, str | None]) -> Attributes:
    return {name: value for name, value in attributes.items() if value is not None}
