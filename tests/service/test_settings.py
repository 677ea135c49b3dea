"""Settings: flags before environment before file, and what is wrong is named before anything starts."""

import stat
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tenure import ConfigurationError
from tenure.cli.commands import tenure as command
from tenure.http.cookies import Cookies
from tenure.http.messages import Request
from tenure.server.app import build
from tenure.server.secret import root_secret
from tenure.server.settings import Settings, load, to_environment
from tests.service.process import service, tenure


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_go_before_the_environment_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tenure.toml"
    file.write_text(
        'access_ttl = "5m"\nidle_ttl = 3600\nleeway = "10s"\ntrusted_proxies = ["10.0.0.1", "10.1.0.0/16"]\n'
    )
    monkeypatch.setenv("TENURE_IDLE_TTL", "2h")
    monkeypatch.setenv("TENURE_LEEWAY", "20")
    settings = load(str(file), {"leeway": "5"})
    assert (settings.access_ttl, settings.idle_ttl, settings.leeway) == (300, 7200, 5)
    assert settings.trusted_proxies == ["10.0.0.1", "10.1.0.0/16"]
    monkeypatch.setenv("TENURE_CONFIG", str(file))
    assert load(None, {}).access_ttl == 300


def test_every_setting_is_a_flag_a_variable_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    help_ = CliRunner().invoke(command, ["serve", "--help"], terminal_width=400).output
    for name in set(Settings.model_fields) - {"lifetimes"}:  # tables of the file
        assert f"--{name.replace('_', '-')}" in help_
        assert f"TENURE_{name.upper()}" in help_


def test_settings_reach_the_workers_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(None, {"secret": "s" * 32, "access_ttl": "90s", "max_sessions": "3", "cookies": False,
                           "allowed_origins": "https://a.example,https://b.example", "workers": "2"})  # fmt: skip
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load(None, {}).model_dump() == settings.model_dump()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("14d", 14 * 86400), (" 10 m ", 600)]
)
def test_durations(text: str, seconds: float) -> None:
    assert load(None, {"idle_ttl": text, "absolute_ttl": "90d", "access_ttl": "1"}).idle_ttl == seconds


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("access_ttl", "soon", "number of seconds, or with a unit like 90s, 10m, 12h, 14d"),
        ("port", "70000", "less than or equal to 65535"),
        ("port", "x", "valid integer"),
        ("workers", "0", "greater than or equal to 1"),
        ("algorithm", "none", "'ES256', 'Ed25519', 'RS256' or 'HS256'"),
        ("rollback", "hope", "'proof' or 'tag'"),
        ("max_sessions", "0", "greater than or equal to 1"),
        ("cookies", "perhaps", "valid boolean"),
        ("cookie_prefix", "a;b", "match pattern"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_right(name: str, value: str, right: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(None, {name: value})
    assert str(refused.value).startswith(f"{name} (--{name.replace('_', '-')}, TENURE_{name.upper()}): ")
    assert right in str(refused.value)


def test_a_wrong_secret_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refused:
        build(load(None, {"secret": "hunter2", "store": "memory://"}))
    assert "at least 32" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(load(None, {"secret": "hunter2", "secret_fallbacks": "hunter2"}))


def test_unknown_settings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tenure.toml"
    file.write_text("acess_ttl = 5\n")
    with pytest.raises(ConfigurationError, match="There is no setting acess_ttl"):
        load(str(file), {})
    file.write_text("access_ttl = = 5\n")
    with pytest.raises(ConfigurationError, match="is not TOML"):
        load(str(file), {})
    with pytest.raises(ConfigurationError, match="does not exist"):
        load(str(tmp_path / "nothing.toml"), {})
    monkeypatch.setenv("TENURE_ACESS_TTL", "5")
    with pytest.raises(ConfigurationError, match="There is no setting TENURE_ACESS_TTL"):
        load(None, {})


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"host": "0.0.0.0"}, "host is 0.0.0.0, so that others can reach this service, but the issuer is plain http"),
        ({"issuer": "http://app.example.com"}, "Cookies need https"),
        ({"access_ttl": "15d"}, "access_ttl must be shorter than idle_ttl"),
        ({"store": "oracle://localhost/x", "secret": "s" * 32}, "The store is a URL"),
        ({"store": "sqlite:///no/such/folder/x.db"}, "can't be made"),
        ({"store": "sqlite:///no/such/folder/x.db", "secret": "s" * 32}, "does not exist"),
        ({"store": "memory://", "workers": "2"}, "A secret is needed that all who use the store share"),
        ({"authenticator": "no.such:thing"}, "authenticator is MODULE:NAME"),
        ({"authenticator": "json:dumps"}, "has no method authenticate"),
        ({"authenticator": ""}, "authenticator is MODULE:NAME"),
    ],
)
def test_what_cannot_work_stops_the_start(flags: dict[str, str], sentence: str) -> None:
    arguments = [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", value)]
    result = CliRunner().invoke(command, ["serve", *arguments])
    assert result.exit_code == 1
    assert sentence in result.output
    assert isinstance(result.exception, SystemExit)


def test_cookies_may_be_switched_off_or_https_named_to_listen_anywhere() -> None:
    assert load(None, {"host": "0.0.0.0", "cookies": False}).cookie_transport() is None
    behind_proxy = load(None, {"host": "0.0.0.0", "issuer": "https://app.example.com/"}).cookie_transport()
    assert behind_proxy is not None
    assert (behind_proxy.name, behind_proxy.origin) == ("__Secure-tenure-refresh", "https://app.example.com")
    here = load(None, {"host": "::1", "port": "8080", "cookie_prefix": "app"}).cookie_transport()
    assert here is not None
    assert (here.name, here.origin) == ("app-refresh", "http://[::1]:8080")
    headers = Cookies(here, Request("GET", "/"), "/auth", [bytes(32)]).set_refresh("x", "y", 1)
    assert all("Secure" not in value for _, value in headers)


def test_a_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    settings = load(None, {})
    secret = root_secret(settings)
    file = tmp_path / "tenure.db.secret"
    assert len(secret) == 43
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert root_secret(settings) == secret
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="can be read by others"):
        root_secret(settings)
    assert root_secret(load(None, {"secret": "s" * 32})) == "s" * 32


def test_a_service_keeps_its_sessions_over_a_restart(tmp_path: Path) -> None:
    import httpx2

    assert tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin="correct horse\n").returncode == 0
    login = {"username": "ada", "password": "correct horse"}
    with service(tmp_path, "--log-level", "debug") as url:
        pair = httpx2.post(f"{url}/auth/login", json=login).json()
    assert "logged_in session_id=" in (tmp_path / "service.log").read_text()
    with service(tmp_path, "--workers", "2") as url:
        answer = httpx2.post(f"{url}/auth/refresh", json={"refresh_token": pair["refresh_token"]})
        assert answer.status_code == 200
        # Another process ends the session; each worker hears of it within a second, with no request having to wait.
        ended = tenure(tmp_path, "sessions", "revoke", pair["session_id"])
        assert ended.stdout == "1 sessions were ended.\n"
        import time

        for _ in range(100):
            headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            answers = {httpx2.get(f"{url}/auth/me", headers=headers).status_code for _ in range(8)}
            if answers == {401}:
                break
            time.sleep(0.05)
        assert answers == {401}


def test_a_proxys_word_on_the_address_is_believed_only_where_it_is_trusted(tmp_path: Path) -> None:
    import httpx2

    tenure(tmp_path, "users", "add", "ada", "--password-stdin", stdin="correct horse\n")

    def limited(url: str) -> bool:
        """Whether the twenty wrong passwords from one address count against another one behind the same proxy."""
        wrong = {"username": "bob", "password": "wrong"}
        with httpx2.Client(base_url=url) as http:
            for _ in range(20):
                http.post("/auth/login", json=wrong, headers={"X-Forwarded-For": "192.0.2.1"})
            other = http.post("/auth/login", json=wrong, headers={"X-Forwarded-For": "192.0.2.2"})
            return other.status_code == 429

    with service(tmp_path) as url:
        assert limited(url)
    with service(tmp_path, "--trusted-proxies", "127.0.0.0/8") as url:
        assert not limited(url)


def test_an_authenticator_is_found_by_its_name(tmp_path: Path) -> None:
    import httpx2

    (tmp_path / "directory.py").write_text(
        "class Directory:\n"
        "    def authenticate(self, username, password):\n"
        "        return f'uid-{username}' if password == 'open sesame' else None\n"
        "instance = Directory()\n"
    )
    for name in ("Directory", "instance"):
        with service(tmp_path, "--authenticator", f"directory:{name}") as url:
            pair = httpx2.post(f"{url}/auth/login", json={"username": "eve", "password": "open sesame"}).json()
            me = httpx2.get(f"{url}/auth/me", headers={"Authorization": f"Bearer {pair['access_token']}"})
            assert me.json()["sub"] == "uid-eve"


def test_an_authenticator_is_looked_for_where_the_service_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    (tmp_path / "my_directory.py").write_text("class Directory:\n    def authenticate(self, username, password): ...\n")
    build(load(None, {"authenticator": "my_directory:Directory", "store": "memory://"}))
    assert sys.path[0] == str(tmp_path)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_what_counts_as_one_caller(address: str, network: str) -> None:
    from tenure.http.rate_limits import network_of

    assert network_of(address) == network


def test_a_wrong_item_of_a_list_is_named_by_its_setting(tmp_path: Path) -> None:
    file = tmp_path / "tenure.toml"
    file.write_text("trusted_proxies = [5]\n")
    with pytest.raises(ConfigurationError, match=r"^trusted_proxies \(--trusted-proxies, TENURE_TRUSTED_PROXIES\)"):
        load(str(file), {})
