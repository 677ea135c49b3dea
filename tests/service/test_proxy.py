"""deploy/Caddyfile and deploy/nginx.conf in a real Caddy and a real nginx: two instances behind them, and an API that
only those reach whom tenure knows."""

import contextlib
import datetime
import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import SECRET
from tests.dpop import Key
from tests.service.process import PASSWORD, environment, free_port, tenure, wait_until_ready

DEPLOY = Path(__file__).parent.parent.parent / "deploy"


@contextlib.contextmanager
def api() -> Iterator[int]:
    """Answers with the headers that it was asked with."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({name.lower(): value for name, value in self.headers.items()}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server.server_port
        server.shutdown()


@contextlib.contextmanager
def running(command: list[str], folder: Path, settings: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=settings, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


Site = tuple[httpx2.Client, list["subprocess.Popen[bytes]"], Path]


def caddy(url: str, instances: list[str], api_address: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The command that starts the proxy, and its environment."""
    program = shutil.which("caddy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program is not None
    places = {
        "SITE": url,
        "INSTANCES": " ".join(instances),
        "API": api_address,
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    return [program, "run", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"], places


def nginx(url: str, instances: list[str], api_address: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    assert program is not None
    key, certificate = certificate_for("localhost", folder)
    site = (DEPLOY / "nginx.conf").read_text()
    for written, here in {
        "10.0.0.11:8000": instances[0],
        "10.0.0.12:8000": instances[1],
        "10.0.0.21:8080": api_address,
        "listen 443 ssl": f"listen 127.0.0.1:{urlsplit(url).port} ssl",
        "/etc/ssl/auth.example.com.pem": str(certificate),
        "/etc/ssl/auth.example.com.key": str(key),
        "/var/cache/nginx/tenure": str(folder / "cache"),
    }.items():
        assert written in site
        site = site.replace(written, here)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    whole = f"daemon off; {user} pid {folder}/pid; events {{}} http {{ access_log off; {temporary}\n{site} }}"
    (folder / "nginx.conf").write_text(whole)
    return [program, "-e", "stderr", "-c", str(folder / "nginx.conf")], {}


def certificate_for(host: str, folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    return folder / "key.pem", folder / "certificate.pem"


PROXIES = {"caddy": ("http://127.0.0.1", caddy), "nginx": ("https://localhost", nginx)}


@pytest.fixture(params=PROXIES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A client of the proxy, the instances behind it, and their log."""
    host, proxy = PROXIES[request.param]
    if request.param == "nginx" and shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin") is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx-light)")
    url, ports = f"{host}:{free_port()}", [free_port(), free_port()]
    settings = environment(
        store=f"sqlite:///{tmp_path}/tenure.db", secret=SECRET, issuer=url, trusted_proxies="127.0.0.1"
    )
    place = {"store": settings["TENURE_STORE"], "secret": SECRET}
    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin=PASSWORD + "\n", **place)
    log = tmp_path / "log"
    with contextlib.ExitStack() as started:
        instances = []
        for port in ports:
            command = [sys.executable, "-m", "tenure", "serve", "--port", str(port)]
            instances.append(started.enter_context(running(command, tmp_path, settings)))
            wait_until_ready(instances[-1], f"http://127.0.0.1:{port}", log)
        api_address = f"127.0.0.1:{started.enter_context(api())}"
        command, places = proxy(url, [f"127.0.0.1:{port}" for port in ports], api_address, tmp_path)
        process = started.enter_context(running(command, tmp_path, {**os.environ, **places}))
        trusted = ssl.create_default_context(cafile=tmp_path / "certificate.pem") if "https" in url else True
        client = started.enter_context(httpx2.Client(base_url=url, verify=trusted))
        for _ in range(200):
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(httpx2.TransportError):
                if client.get("/readyz").status_code == 200:
                    break
            time.sleep(0.05)
        yield client, instances, log


def test_only_those_whom_tenure_knows_reach_the_api(site: Site) -> None:
    client, _, _ = site
    pair = client.post("/auth/login", json={"username": "ada", "password": PASSWORD}).json()
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    claimed = {"X-Auth-Subject": "mallory", "X-Auth-Scope": "admin", "X-Auth-Client": "backend"}
    seen = client.get("/api/notes", headers={**bearer, **claimed}).json()
    assert seen["x-auth-subject"] == "ada"
    assert seen["x-auth-session"] == pair["session_id"]
    assert (seen["x-auth-client"], seen.get("x-auth-scope", "")) == ("first-party", "")
    refused = client.get("/api/notes", headers={"X-Auth-Subject": "mallory"})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="tenure"')
    refused = client.get("/api/notes", headers={"Authorization": "Bearer rubbish"})
    assert (refused.status_code, 'error="invalid_token"' in refused.headers["www-authenticate"]) == (401, True)
    assert client.post("/auth/logout", json={"refresh_token": pair["refresh_token"]}).status_code == 204
    for _ in range(200):  # the other instance hears of it within a second; an answer may be kept for five
        answers = {client.get("/api/notes", headers=bearer).status_code for _ in range(4)}
        if answers == {401}:
            break
        time.sleep(0.05)
    assert answers == {401}


@pytest.mark.parametrize("site", ["nginx"], indirect=True)
def test_what_tenure_has_said_of_a_token_is_kept_for_a_moment(site: Site) -> None:
    client, _, log = site
    pair = client.post("/auth/login", json={"username": "ada", "password": PASSWORD}).json()
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    statuses = [client.get("/api/notes", headers=bearer).status_code for _ in range(50)]
    assert statuses == [200] * 50
    for _ in range(3):
        assert client.get("/api/notes", headers={"Authorization": "Bearer rubbish"}).status_code == 401
    time.sleep(0.2)
    said = [line.rpartition(" HTTP/1.1")[2] for line in log.read_text().splitlines() if "GET /auth/verify" in line]
    assert 1 <= sum("204" in answer for answer in said) <= 12
    assert sum("401" in answer for answer in said) == 3


def test_a_bound_token_reaches_the_api_with_a_proof_for_the_request_and_only_so(site: Site) -> None:
    client, _, _ = site
    key = Key()

    def send(
        method: str, path: str, token: str | None = None, proof: str | None = None, **more: Any
    ) -> httpx2.Response:
        headers = {} if token is None else {"Authorization": f"DPoP {token}"}
        return client.request(method, path, headers=headers if proof is None else {**headers, "DPoP": proof}, **more)

    def proof(method: str, path: str, **details: Any) -> str:
        return key.proof(method, str(client.base_url.join(path)), time.time(), **details)

    login = {"json": {"username": "ada", "password": PASSWORD}}
    asked = send("POST", "/auth/login", proof=proof("POST", "/auth/login"), **login)
    assert asked.json()["error"] == "use_dpop_nonce"
    nonce = asked.headers["dpop-nonce"]
    token = send("POST", "/auth/login", proof=proof("POST", "/auth/login", nonce=nonce), **login).json()["access_token"]
    for _ in range(3):
        shown = proof("GET", "/api/notes", access_token=token)
        seen = send("GET", "/api/notes?page=2", token, shown)
        assert (seen.status_code, seen.json()["x-auth-subject"]) == (200, "ada")
        again = [send("GET", "/api/notes", token, shown).status_code for _ in range(6)]
        assert again.count(200) <= 1  # each of the two instances remembers the proofs that it has seen itself
        refused = [
            send("GET", "/api/notes", token),
            send("GET", "/api/others", token, proof("GET", "/api/notes", access_token=token)),
            send("POST", "/api/notes", token, proof("GET", "/api/notes", access_token=token)),
            client.get("/api/notes", headers={"Authorization": f"Bearer {token}"}),
        ]
        assert [answer.status_code for answer in refused] == [401] * 4
        assert all("error=" in answer.headers["www-authenticate"] for answer in refused)


def test_people_do_not_notice_that_an_instance_is_gone(site: Site) -> None:
    client, instances, _ = site
    pair = client.post("/auth/login", json={"username": "ada", "password": PASSWORD}).json()
    statuses = []
    for number in range(30):
        if number == 10:
            instances[0].kill()
        key = {"Idempotency-Key": f"attempt-key-{number:08d}"}
        while True:  # as each client of ours does
            answer = client.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]}, headers=key)
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                pair = answer.json()
                break
            assert answer.status_code in (502, 503)
    assert statuses.count(200) == 30
    assert len(statuses) < 60
