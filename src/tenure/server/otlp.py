"""OpenTelemetry in the service: spans of requests, and all metrics, sent by OTLP.

OpenTelemetry's own variables configure it: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER and so
on. Each worker process sends its own data.
"""

import os
from collections.abc import Callable
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span
from starlette.applications import Starlette
from starlette.routing import Match, Route

from tenure.observing.telemetry import Telemetry

os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")  # the stable conventions


class Otlp:
    """OTLP in this process: `telemetry` is the observer, `trace` adds spans of requests."""

    def __init__(self) -> None:
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        resource = Resource.create() if named else Resource.create({SERVICE_NAME: "tenure"})
        self._tracers = TracerProvider(resource=resource)
        self._tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
        self.telemetry = Telemetry(self._tracers, self._meters)

    def trace(self, app: Starlette) -> None:
        """Wrap `app` so that each request gets a span named by its route."""
        app.add_middleware(
            OpenTelemetryMiddleware,
            default_span_details=_named_by(app),
            server_request_hook=_without_names,
            tracer_provider=self._tracers,
            meter_provider=self._meters,
            exclude_spans=["receive", "send"],
        )

    def close(self) -> None:
        """Send what is left, and stop. Blocks until then."""
        self._tracers.shutdown()
        self._meters.shutdown()


def _named_by(app: Starlette) -> Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]:
    def details(scope: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        method = scope.get("method", "")
        for route in app.routes:
            if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
                return f"{method} {route.path}", {"http.route": route.path}
        return method, {}

    return details


def _without_names(span: Span, _: dict[str, Any]) -> None:
    """Remove path and query, which may contain a session or a subject. The route remains."""
    span.set_attributes({"url.path": "", "url.query": "", "url.full": ""})
