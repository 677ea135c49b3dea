"""What Prometheus is told, by one worker and by several."""

import json
import re
import socket
import time
from pathlib import Path

import httpx2
import pytest

from tests.service.process import PASSWORD, free_port, service, tenure

ROOT = Path(__file__).parent.parent.parent


def metrics(port: int) -> dict[str, float]:
    text = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    return {name: float(value) for name, value in re.findall(r"^(tenure_\S+) (\S+)$", text, re.M)}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_happened_is_counted(tmp_path: Path, workers: str) -> None:
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    port = free_port()
    with service(tmp_path, "--workers", workers, "--metrics-port", str(port)) as url:
        first = httpx2.post(f"{url}/auth/login", json={"username": "ada", "password": PASSWORD}).json()
        second = httpx2.post(f"{url}/auth/refresh", json={"refresh_token": first["refresh_token"]}).json()
        httpx2.post(f"{url}/auth/refresh", json={"refresh_token": second["refresh_token"]})
        assert httpx2.post(f"{url}/auth/refresh", json={"refresh_token": first["refresh_token"]}).status_code == 400
        assert httpx2.get(f"{url}/auth/me").status_code == 401
        time.sleep(0.2)
        found = metrics(port)
        text = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    assert found['tenure_events_total{bound="",kind="logged_in",reason=""}'] == 1
    assert found['tenure_events_total{bound="",kind="refreshed",reason=""}'] == 2
    assert found['tenure_events_total{bound="",kind="reuse_detected",reason=""}'] == 1
    assert found['tenure_events_total{bound="",kind="revoked",reason="reuse_detected"}'] == 1
    assert found['tenure_refused_total{code="invalid_grant",reason="reuse_detected"}'] == 1
    assert found['tenure_refused_total{code="invalid_token",reason=""}'] == 1
    assert found['tenure_store_seconds_count{call="Advance"}'] == 3
    assert found["tenure_store_batch_size_count"] >= 6
    assert found["tenure_revocation_lag_seconds_count"] >= 1
    for secret in (first["refresh_token"], first["access_token"], PASSWORD, "ada"):
        assert secret not in text


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = tenure(tmp_path, "serve", "--metrics-port", str(port))
    assert refused.returncode == 1
    assert refused.stderr == f"Error: metrics_port {port} on 127.0.0.1 can't be listened on: Address already in use.\n"


def test_the_dashboard_asks_for_what_there_is() -> None:
    from tenure.server import metrics as module

    counters = [f"{counter._name}_total" for counter in (module.EVENTS, module.REFUSED, module.UNAVAILABLE)]
    known = {*counters, *(f"{histogram._name}_bucket" for histogram in (module.STORE, module.BATCHES, module.LAG))}
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"tenure_\w+", target["expr"])
    }
    assert asked == known


def test_logs_as_json(tmp_path: Path) -> None:
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n")
    with service(tmp_path, log_format="json") as url:
        pair = httpx2.post(f"{url}/auth/login", json={"username": "ada", "password": PASSWORD}).json()
    lines = [line for line in (tmp_path / "service.log").read_text().splitlines() if line.startswith("{")]
    said = next(record for record in map(json.loads, lines) if record["message"] == "logged_in")
    assert said["event"]["session_id"] == pair["session_id"]
    assert (said["level"], said["logger"]) == ("INFO", "tenure")
    assert pair["refresh_token"] not in "".join(lines)
