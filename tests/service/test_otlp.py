"""OpenTelemetry: what an application's own providers get, and what `tenure serve` sends to a collector."""

import contextlib
import http.server
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tenure import InvalidAccessToken, SessionEnded, StoreUnavailable, Tenure
from tenure.core.observations import Observation
from tenure.observing.telemetry import Telemetry
from tenure.stores.memory import MemoryStore
from tests.conftest import AUDIENCE, ISSUER, SECRET
from tests.service.process import PASSWORD, service, tenure


class BrokenStore(MemoryStore):
    broken = False

    def run(self, call: Any) -> Any:
        if self.broken:
            raise StoreUnavailable
        return super().run(call)


def points(reader: InMemoryMetricReader) -> dict[tuple[str, ...], Any]:
    """The newest value of each metric, by its name and its attributes' values."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        (metric.name, *(str(value) for _, value in sorted((point.attributes or {}).items()))): getattr(
            point, "value", getattr(point, "count", None)
        )
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def test_an_applications_own_providers_are_told() -> None:
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    seen: list[str] = []
    store = BrokenStore()
    with Tenure(
        store,
        secret=SECRET,
        issuer=ISSUER,
        audience=AUDIENCE,
        poll=3600,
        on_event=lambda event: seen.append(event.kind),
        observers=[Telemetry(tracers, meters)],
    ) as auth:
        with tracers.get_tracer("app").start_as_current_span("request"):
            first = auth.login("user-42", address="203.0.113.7")
            auth.refresh(auth.refresh(first.refresh_token).refresh_token)
            with pytest.raises(SessionEnded):
                auth.refresh(first.refresh_token)
        with pytest.raises(InvalidAccessToken):
            auth.verify(first.access_token)  # of the session that was just ended
        auth.sessions("user-42")  # outside of any request: no span
        store.broken = True
        with tracers.get_tracer("app").start_as_current_span("other"), pytest.raises(StoreUnavailable):
            auth.sessions("user-42")
    found = points(reader)
    assert found["tenure.events", "logged_in"] == 1
    assert found["tenure.events", "refreshed"] == 2
    assert found["tenure.events", "revoked", "reuse_detected"] == 1
    assert found["tenure.refused", "invalid_token", "revoked"] == 1
    assert found["tenure.store.duration", "Advance"] == 3
    assert found["tenure.store.duration", "ListSubject"] == 1
    assert found["tenure.store.duration", "ListSubject", "store_unavailable"] == 1
    assert found["tenure.revocation.lag",] == 1
    assert seen == ["logged_in", "refreshed", "refreshed", "reuse_detected", "revoked"]
    finished = spans.get_finished_spans()
    assert [span.name for span in finished] == [
        "tenure.store Create", "tenure.store Advance", "tenure.store Advance", "tenure.store Advance",
        "tenure.store Get", "tenure.store Revoke", "request", "tenure.store ListSubject", "other",
    ]  # fmt: skip
    request = finished[6]
    assert all(span.parent == request.context for span in finished[:6])
    assert [event.name for event in request.events][-2:] == ["tenure.reuse_detected", "tenure.revoked"]
    assert finished[7].status.status_code is trace.StatusCode.ERROR
    told = "".join(span.to_json() for span in finished)
    for name in ("user-42", "203.0.113.7", first.session_id, first.refresh_token):
        assert name not in told


def test_an_observer_that_fails_costs_nobody_anything(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Observation] = []

    def failing(_: Observation) -> None:
        raise RuntimeError("no room left")

    with (
        caplog.at_level(logging.ERROR, "tenure"),
        Tenure(
            "memory://", secret=SECRET, issuer=ISSUER, audience=AUDIENCE, poll=3600, observers=[failing, seen.append]
        ) as auth,
    ):
        auth.refresh(auth.login("user-42").refresh_token)
    assert "an observer failed" in caplog.text
    assert [getattr(one, "call", getattr(one, "kind", "")) for one in seen][-4:] == [
        "Create", "logged_in", "Advance", "refreshed",
    ]  # fmt: skip


@contextlib.contextmanager
def collector() -> Iterator[tuple[str, ExportTraceServiceRequest, ExportMetricsServiceRequest]]:
    """Takes what is sent by OTLP, and puts it together."""
    traces, metrics = ExportTraceServiceRequest(), ExportMetricsServiceRequest()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            whole = traces if self.path == "/v1/traces" else metrics
            whole.MergeFromString(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_port}", traces, metrics
        server.shutdown()


def test_the_service_sends_traces_and_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    with collector() as (address, traces, metrics):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        with service(tmp_path, "--opentelemetry") as url:
            pair = httpx2.post(f"{url}/auth/login", json={"username": "ada", "password": PASSWORD}).json()
            bearer = {"Authorization": f"Bearer {pair['access_token']}"}
            httpx2.delete(f"{url}/auth/sessions/{pair['session_id']}", headers=bearer)
            refused = httpx2.post(f"{url}/auth/refresh", json={"refresh_token": pair["refresh_token"]})
            httpx2.get(f"{url}/admin/sessions", params={"subject": "grace"})
            assert refused.status_code == 400
    spans = {
        span.name: span
        for resource in traces.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        if span.name != "GET /readyz"
    }
    assert {name for name in spans if not name.startswith("tenure.store")} == {
        "POST /auth/login", "DELETE /auth/sessions/{id}", "POST /auth/refresh", "GET /admin/sessions",
    }  # fmt: skip
    assert spans["tenure.store Revoke"].parent_span_id == spans["DELETE /auth/sessions/{id}"].span_id
    said = {attribute.key: attribute.value.string_value for attribute in spans["POST /auth/refresh"].attributes}
    assert (said["error.type"], said["tenure.reason"]) == ("invalid_grant", "revoked")
    names = {
        metric.name
        for resource in metrics.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {
        "tenure.events", "tenure.refused", "tenure.store.duration", "tenure.store.batch_size",
        "tenure.revocation.lag", "http.server.request.duration",
    } <= names  # fmt: skip
    (service_name,) = {
        attribute.value.string_value
        for resource in traces.resource_spans
        for attribute in resource.resource.attributes
        if attribute.key == "service.name"
    }
    assert service_name == "tenure"
    sent = str(traces) + str(metrics)
    for name in (pair["session_id"], pair["refresh_token"], pair["access_token"], PASSWORD, "grace", '"ada"'):
        assert name not in sent


def test_a_package_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("raise ImportError('not installed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    refused = tenure(tmp_path, "serve", "--opentelemetry")
    assert refused.returncode == 1
    assert refused.stderr == "Error: opentelemetry needs more packages: pip install 'tenure[opentelemetry]'.\n"
