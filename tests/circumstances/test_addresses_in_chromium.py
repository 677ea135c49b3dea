"""A real service behind a real nginx that adds and strips paths, seen from a real Chromium, on hosts of one site."""

import os
import re
import shutil
from pathlib import Path

import httpx2
import pytest

from tests.client.browser import node
from tests.service.process import PASSWORD, free_port, service, tenure
from tests.service.test_proxy import certificate_for, running

PROGRAM = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")

SITE = """
server {{
    listen 127.0.0.1:{port} ssl; server_name {host}.example.test;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    proxy_set_header Host $host:{port};
    {locations}
}}
"""
PAGE = 'location / {{ default_type text/html; {more} return 200 "<!doctype html><title>page</title>"; }}'


@pytest.mark.skipif(PROGRAM is None, reason="tests/elsewhere/fetch gets nginx")
def test_in_chromium(tmp_path: Path) -> None:
    assert PROGRAM is not None
    port = free_port()
    key, certificate = certificate_for("*.example.test", tmp_path)
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        tenure(folder, "users", "add", "ada", "--password-stdin", stdin=PASSWORD)
    common = ("--access-ttl", "2s", "--allowed-origins", f"https://pages.example.test:{port}")
    stripped = ("--issuer", f"https://app.example.test:{port}/api", *common)
    added = ("--issuer", f"https://added.example.test:{port}", "--prefix", "/api/auth", "--cookie-path", "/auth")
    with service(folders[0], *stripped) as one, service(folders[1], *added, *common) as other:
        attacker = httpx2.post(f"{one}/auth/login", json={"username": "ada", "password": PASSWORD}).json()
        sites = {
            "app": f"location /api/ {{ proxy_pass {one}/; }}" + PAGE.format(more=""),
            "added": f"location /auth/ {{ proxy_pass {other}/api/auth/; }}" + PAGE.format(more=""),
            "pages": PAGE.format(more=""),
            "stranger": PAGE.format(more=""),
            "evil": "location /toss { add_header Set-Cookie "
            '"__Secure-tenure-refresh=$args; Domain=example.test; Path=/api/auth; Secure; HttpOnly; SameSite=Strict"; '
            'default_type text/html; return 200 "tossed"; }'
            "location /companion { add_header Set-Cookie "
            '"__Host-tenure-session-00000000=x; Domain=example.test; Path=/; Secure"; '
            'default_type text/html; return 200 "tried"; }',
        }
        places = {"port": port, "certificate": certificate, "key": key}
        servers = "".join(SITE.format(host=host, locations=inside, **places) for host, inside in sites.items())
        temporary = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; {user} pid {tmp_path}/pid; events {{}} http {{ access_log off; {temporary} {servers} }}"
        )
        with running([PROGRAM, "-e", "stderr", "-c", str(tmp_path / "nginx.conf")], tmp_path, dict(os.environ)):
            told = node(
                "--test",
                "--test-reporter=tap",
                "addresses.test.mjs",
                PORT=str(port),
                PASSWORD=PASSWORD,
                ATTACKER_TOKEN=attacker["refresh_token"],
            )
    assert re.search(r"^# fail 0$", told, re.M)
    assert re.search(r"^# pass 7$", told, re.M)
