"""`tenure loadtest`, against a real service."""

import json
import math
from pathlib import Path

import pytest

from tenure.server.load import Measured
from tests.service.process import service, tenure


def test_a_deployment_is_measured_and_left_as_it_was(tmp_path: Path) -> None:
    key = tenure(tmp_path, "api-keys", "add", "load", "--json").stdout
    with service(tmp_path) as url:
        done = tenure(
            tmp_path,
            "loadtest",
            url,
            "--callers",
            "8",
            "--duration",
            "2s",
            "--json",
            api_key=json.loads(key)["api_key"],
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["refreshes"] > 20
        assert found["refreshes_per_second"] > 10
        assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"] <= found["longest_ms"]
        assert found["errors"] is None
        shown = tenure(
            tmp_path, "loadtest", url, "--callers", "2", "--duration", "1s", api_key=json.loads(key)["api_key"]
        )
        assert "refreshes per second" in shown.stdout
        assert " ms  █" in shown.stdout
        listed = json.loads(tenure(tmp_path, "sessions", "overview", "--json").stdout)
    assert listed["live"] == 0
    assert listed["thefts"] == 0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1", "can't be reached"),
        ("ftp://example.com", "can't be reached"),
        ("{service}", "An API key is needed"),
        ("{service}/elsewhere", "There is nothing at this address."),
    ],
)
def test_what_can_not_begin_is_said(tmp_path: Path, url: str, said: str) -> None:
    with service(tmp_path) as there:
        done = tenure(tmp_path, "loadtest", url.format(service=there), "--duration", "1s", api_key="tnk1_nobody")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_percentiles_and_histogram() -> None:
    measured = Measured(2.0, tuple(number / 1000 for number in range(1, 101)), {}, 0.5)
    assert measured.rate == 50
    assert [measured.percentile(part) for part in (0.5, 0.99, 1.0)] == [0.05, 0.099, 0.1]
    assert measured.histogram() == [
        (0.001, 1), (0.002, 1), (0.005, 3), (0.01, 5), (0.02, 10), (0.05, 30), (0.1, 50)
    ]  # fmt: skip
    nothing = Measured(1.0, (), {"ConnectError": 3}, 0.0)
    assert math.isnan(nothing.percentile(0.5))
    assert nothing.histogram() == []
    assert Measured(1.0, (99.0,), {}, 0.0).histogram() == [(math.inf, 1)]
