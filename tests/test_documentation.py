"""Every snippet of the documentation is run as a reader would run it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import pytest
import yaml

from tenure.server.settings import Settings
from tests.service.process import environment, free_port, service, tenure

ROOT = Path(__file__).parent.parent
# js/README.md is run by tests/node/browser.test.mjs.
DOCUMENTS = [ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")]
TUTORIAL = ROOT / "docs" / "get-going.md"  # is followed, step by step, below
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))


def snippets(language: str) -> list[str]:
    text = "\n".join(path.read_text() for path in DOCUMENTS if path != TUTORIAL)
    assert set(re.findall(r"^```(\w+)", text, re.M)) <= {"python", "sh", "text"}, "a snippet that no test runs"
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def test_the_python_runs(tmp_path: Path) -> None:
    """Each snippet in a folder of its own, beside a service that has ada's account."""
    outputs = ""
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin="correct horse battery\n")
    with service(tmp_path) as url:
        for number, snippet in enumerate(snippets("python")):
            folder = tmp_path / str(number)
            folder.mkdir()
            if "tenure.integrations.django" in snippet:  # in a project that is set up
                begin = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.integrations import django_stores\n"
                snippet = begin + snippet
            done = subprocess.run(
                [sys.executable, "-W", "error", "-c", snippet.replace("http://127.0.0.1:8000", url)],
                cwd=folder,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            outputs += done.stdout
    assert re.search(r"^user-42 \['editor'\] [0-9a-f]{32}\n\['Firefox on Linux'\]\nrevoked$", outputs, re.M), outputs
    assert re.search(r"^logged_in \w+\nrefreshed \w+\n\['admin'\]$", outputs, re.M), outputs
    assert "not a JWT" in outputs
    assert re.search("^ada$", outputs, re.M), outputs


def test_the_shell_commands_run(tmp_path: Path) -> None:
    """One after the other in one shell, on a free port; after a server is started, once it is ready."""
    port = free_port()
    commands = [snippet for snippet in snippets("sh") if not snippet.startswith("make ")]
    ready = 'for i in $(seq 100); do curl -sf "http://127.0.0.1:8000/readyz" > /dev/null && break; sleep 0.1; done\n'
    waiting = [command + ready if command.rstrip().endswith("&") else command for command in commands]
    script = "set -eu\ntrap 'kill $(jobs -p)' EXIT\n" + "".join(waiting)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script.replace("8000", str(port))],
        cwd=tmp_path,
        env={**environment(port=str(port)), "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"sub":"ada"' in done.stdout
    assert '"refresh_token":"tnr1_' in done.stdout
    assert "1 sessions were ended." in done.stdout


def steps(framework: str) -> list[tuple[str, str]]:
    """What a reader of the tutorial types: the files that they write, by name, and the commands that they run."""
    parts = re.split(r"^##+ (.+)\n", TUTORIAL.read_text(), flags=re.M)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    chosen = [framework, "Log in", "Stay logged in", "Be a thief"]
    found: list[tuple[str, str]] = []
    for section in chosen:
        for before, language, block in re.findall(r"([^\n]*)\n\n```(\w+)\n(.*?)^```", sections[section], re.M | re.S):
            file = re.search(r"(In|in|At the end of) `([\w./]+)`:$", before)
            assert (language == "python") == (file is not None), block
            found.append((f"{'>>' if file[1] == 'At the end of' else '>'} {file[2]}" if file else "", block))
    return found


@pytest.mark.parametrize("framework", ["FastAPI", "Flask", "Django"])
def test_the_tutorial_leads_where_it_says(framework: str, tmp_path: Path) -> None:
    port = free_port()
    script = "set -eu\ntrap 'kill $(jobs -p)' EXIT\n"
    for target, block in steps(framework):
        quiet = re.sub(" &$", " > server.log 2>&1 &", block.rstrip()) + "\n"
        script += f"cat {target} <<'END'\n{block}END\n" if target else quiet
        if block.rstrip().endswith("&"):
            script += (
                'for _ in $(seq 100); do curl -s -o /dev/null "http://127.0.0.1:8000/" && break; sleep 0.1; done\n'
            )
        script += 'printf "\\n--\\n"\n'
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script.replace("8000", str(port))],
        cwd=tmp_path,
        env={**environment(), "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *_, logged_in, stayed, _, client, thief, over, end = done.stdout.split("\n--\n")
    ada = "1" if framework == "Django" else "ada"
    assert json.loads(logged_in)["user"] == ada
    assert '"reason":"expired"' in stayed
    assert f'"user":"{ada}"' in stayed.replace(" ", "")
    assert client.splitlines() == [f"{ada} is still logged in"] * 3
    assert '"reason":"reuse_detected"' in thief
    assert '"reason":"reuse_detected"' in over
    assert '"reason":"revoked"' in over
    assert end == ""


@pytest.mark.parametrize("target", ["demo", "test", "lint", "bench", "docs", "mutants", "lock"])
def test_the_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        text = document.read_text()
        for path in re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"`((?:src|tests|requirements)/[\w/.]+)`", text):
            assert (ROOT / path).exists() or (document.parent / path).exists(), f"{document.name}: {path}"


def test_the_unit_for_systemd(tmp_path: Path) -> None:
    """Each line is one that systemd knows (asked where it is), and its command serves, with settings from a file."""
    unit = ROOT / "deploy" / "tenure.service"
    text = unit.read_text()
    if shutil.which("systemd-analyze") is not None:
        copy = tmp_path / "tenure.service"
        copy.write_text(text.replace("/opt/tenure/bin/tenure", sys.executable))
        checked = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, "")
    (command,) = re.findall(r"^ExecStart=/opt/tenure/bin/tenure (.*)$", text, re.M)
    assert command == "serve"
    with service(tmp_path, store=f"sqlite:///{tmp_path}/tenure.db") as url:
        assert httpx2.get(f"{url}/healthz").status_code == 200


def test_the_container_file_copies_what_is_there() -> None:
    text = (ROOT / "deploy" / "Containerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M):
        for path in line.split()[:-1]:
            assert (ROOT / path).exists(), path
    assert re.findall(r"-r (\S+)", text) == ["requirements/container.lock"]
    assert (ROOT / "requirements/container.lock").exists()
    assert 'CMD ["tenure", "serve"]' in text


def settings_in(text: str) -> set[str]:
    return {name.removeprefix("TENURE_").lower() for name in re.findall(r"\bTENURE_[A-Z_]+", text)}


@pytest.mark.parametrize("name", ["compose.yaml", "kubernetes.yaml", "Containerfile"])
def test_deployments_use_settings_that_exist(name: str) -> None:
    used = settings_in((ROOT / "deploy" / name).read_text())
    assert used
    assert used <= set(Settings.model_fields)


def test_the_compose_file_starts_what_the_repository_has() -> None:
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    build = services["tenure"]["build"]
    assert (ROOT / "deploy" / build["context"] / build["dockerfile"]).resolve() == ROOT / "deploy" / "Containerfile"
    for one in services.values():
        assert set(one.get("depends_on", {})) <= set(services)


def test_kubernetes_probes_paths_that_answer(tmp_path: Path) -> None:
    deployment, service_, budget = yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    probed = [container[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")]
    with service(tmp_path) as url:
        assert [httpx2.get(url + path).status_code for path in probed] == [200] * 3
    labels = pod["metadata"]["labels"]
    for selector in (deployment["spec"]["selector"], budget["spec"]["selector"]):
        assert selector["matchLabels"] == labels
    assert service_["spec"]["selector"] == labels


def test_the_wheel_has_all_that_is_no_python(tmp_path: Path) -> None:
    """The schema, the browser module (which lies in js/), the marker of types."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        ROOT,
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert archive.read("tenure/http/tenure.js") == (ROOT / "js" / "tenure.js").read_bytes()
    assert {"tenure/py.typed", "tenure/stores/sqlite/schema/0001_sessions.sql"} <= names


def test_each_requirement_of_the_asvs_has_the_tests_that_carry_its_number() -> None:
    carried = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            for mark in getattr(function, "decorator_list", []):
                if ast.unparse(mark).startswith("pytest.mark.asvs("):
                    carried |= {(ast.literal_eval(number), function.name) for number in mark.args}
    table = (ROOT / "docs" / "standards.md").read_text().partition("## OWASP ASVS 5.0")[2]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if re.match(r"\| \d", line)]
    named = {
        (number, test)
        for requirements, *_, tests in rows
        for number in re.findall(r"\d+\.\d+\.\d+", requirements)
        for test in re.findall(r"`(test_\w+)`", tests)
    }
    assert len(named) > 40
    assert named == carried


def test_what_was_measured_is_what_the_run_printed() -> None:
    from benchmarks.document import RUN, figures, page

    assert (ROOT / "docs" / "measured.md").read_text() == page(figures(RUN.read_text()))


def test_what_each_policy_costs_is_what_the_run_printed() -> None:
    from benchmarks.document import figures
    from benchmarks.document_policies import RUN, page

    assert (ROOT / "docs" / "policies.md").read_text() == page(figures(RUN.read_text()))


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("sphinx-build")
    command = [
        program,
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-d",
        tmp_path / "doctrees",
        ROOT / "docs",
        tmp_path / "site",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "refresh" in (tmp_path / "site" / "reference.html").read_text()
