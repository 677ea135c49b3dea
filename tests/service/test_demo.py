"""The demo plays to its end on a real service, shows what it promises, and shows no secret."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner

from tenure.cli.commands import tenure as command
from tenure.server import demo
from tests.service.process import environment, free_port


def test_the_whole_story(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tenure", "demo", "--data", str(tmp_path / "data")],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout
    for number in range(1, 9):
        assert f"\n{number}. " in told
    for seen in (
        "reason: expired",
        "reason: reuse_detected",
        "reason: revoked",
        "the answer is lost",
        "stolen_token_refused",
        "whole story.",
    ):
        assert seen in told
    assert not re.search(r"tnr1_[A-Za-z0-9_-]{20}", told)
    assert not re.search(r"eyJ[A-Za-z0-9_-]{20}", told)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["tenure.db", "tenure.db.secret"]


def test_keep_leaves_the_server_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The story itself is left out here, so that nobody waits for it twice."""
    port = free_port()
    script = (
        "import sys; from tenure.server import demo; demo.tell = lambda stage, password: None;"
        "from tenure.cli import main; main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "demo", "--keep", "--port", str(port)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever starts the tests in the background may ignore it, and a process inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            told = ""
            for line in process.stdout:
                told += line
                if line.startswith("curl"):
                    break
            folder = Path(re.search(r"data in (\S+)", told)[1])  # type: ignore[index]
            password = re.search(r"password (\S+)", told)[1]  # type: ignore[index]
            login = httpx2.post(f"http://127.0.0.1:{port}/auth/login", json={"username": "demo", "password": password})
            assert login.status_code == 200
            assert folder.is_dir()
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert not folder.exists()  # a fresh directory each time is also cleared away


def test_a_service_that_does_not_start_ends_the_demo_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(command, ["demo", "--data", str(tmp_path), "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "The service did not start." in result.output


def test_an_answer_that_differs_from_the_story_ends_the_demo() -> None:
    from rich.console import Console

    transport = httpx2.MockTransport(lambda request: httpx2.Response(500, json={"error": "server_error"}))
    with httpx2.Client(transport=transport, base_url="http://127.0.0.1") as http:
        stage = demo.Stage(http, Console(quiet=True))
        with pytest.raises(demo.DemoFailed, match="was to answer 200, but answered 500"):
            demo.tell(stage, "password")
