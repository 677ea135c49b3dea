"""`tenure` on the command line: tables for people, JSON for programs, sentences for what is wrong."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tenure import Policy, SessionEnded, Tenure
from tenure.cli.commands import tenure as command
from tests.conftest import AUDIENCE, ISSUER

SECRET = "a-secret-of-at-least-32-characters-0"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENURE_SECRET", SECRET)

    def invoke(*arguments: str, stdin: str | None = None, status: int = 0) -> Result:
        result = CliRunner().invoke(command, arguments, input=stdin, env={"COLUMNS": "200"})
        assert result.exit_code == status, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return invoke


@pytest.fixture
def auth(tmp_path: Path, run: Run) -> Any:
    with Tenure(f"sqlite:///{tmp_path}/tenure.db", secret=SECRET, issuer=ISSUER, audience=AUDIENCE) as made:
        yield made


def test_users(run: Run, auth: Tenure) -> None:
    assert run("users", "add", "ada", "--password-stdin", stdin="correct horse\n").output == "ada can log in.\n"
    assert "already" in run("users", "add", "ada", "--password-stdin", stdin="correct horse\n", status=1).output
    assert "8 to 1024" in run("users", "add", "bob", "--password-stdin", stdin="short\n", status=1).output
    prompted = run("users", "add", "bob", "--json", stdin="correct horse\ncorrect horse\n").output
    assert prompted.endswith('{"user": "bob"}\n')
    assert "correct horse" not in prompted
    assert json.loads(run("users", "list", "--json").output) == [{"user": "ada"}, {"user": "bob"}]
    assert "ada" in run("users", "list").output
    auth.login("ada")
    changed = run("users", "passwd", "ada", "--password-stdin", stdin="another horse\n").output
    assert changed == "The password of ada is changed; 1 sessions were ended.\n"
    assert auth.sessions("ada") == ()
    auth.login("ada")
    assert json.loads(run("users", "remove", "ada", "--json").output) == {"user": "ada", "ended": 1}
    assert "no user" in run("users", "remove", "ada", status=1).output
    assert "no user" in run("users", "passwd", "ada", "--password-stdin", stdin="another horse\n", status=1).output


def test_clients(run: Run) -> None:
    secret = run("clients", "add", "partner").output.strip()
    assert len(secret) == 43
    assert "public client" in run("clients", "add", "phone-app", "--public").output
    assert set(json.loads(run("clients", "add", "third", "--json").output)) == {"client_id", "client_secret"}
    assert "already" in run("clients", "add", "partner", status=1).output
    listed = json.loads(run("clients", "list", "--json").output)
    usual = {"keys": 0, "scope": None, "lifetime": "remembered"}
    assert {"client_id": "phone-app", "public": True, **usual} in listed
    assert {"client_id": "partner", "public": False, **usual} in listed
    assert secret not in run("clients", "list").output
    assert run("clients", "remove", "partner").output == "partner is gone.\n"
    assert "no client" in run("clients", "remove", "partner", status=1).output


def test_api_keys(run: Run) -> None:
    key = run("api-keys", "add", "backend").output.strip()
    assert key.startswith("tnk1_")
    assert "already" in run("api-keys", "add", "backend", status=1).output
    assert json.loads(run("api-keys", "add", "other", "--json").output)["api_key"].startswith("tnk1_")
    assert json.loads(run("api-keys", "list", "--json").output) == [{"name": "backend"}, {"name": "other"}]
    assert key not in run("api-keys", "list").output
    assert run("api-keys", "remove", "backend").output == "backend is gone.\n"
    assert "no API key" in run("api-keys", "remove", "backend", status=1).output


def test_sessions(run: Run, auth: Tenure) -> None:
    phone = auth.login("ada", device="[red]phone[/red]")
    auth.login("ada", device="laptop")
    listed = json.loads(run("sessions", "list", "--subject", "ada", "--json").output)
    assert [one["device"] for one in listed] == ["[red]phone[/red]", "laptop"]
    table = run("sessions", "list", "--subject", "ada").output
    assert "[red]phone[/red]" in table
    assert "UTC" in table
    assert run("sessions", "revoke", phone.session_id).output == "1 sessions were ended.\n"
    assert "no live session" in run("sessions", "revoke", phone.session_id, status=1).output
    assert "no live session" in run("sessions", "revoke", "rubbish", status=1).output
    assert json.loads(run("sessions", "revoke", "--subject", "ada", "--json").output) == {"ended": 1}
    assert "Name a session or a --subject" in run("sessions", "revoke", status=2).output
    assert "Name a session or a --subject" in run("sessions", "revoke", "x", "--subject", "ada", status=2).output


def test_events(run: Run, auth: Tenure) -> None:
    pair = auth.login("ada", device="Firefox", address="203.0.113.7")
    newest = auth.refresh(auth.refresh(pair.refresh_token).refresh_token)
    with pytest.raises(SessionEnded):
        auth.refresh(pair.refresh_token, address="198.51.100.9")
    entries = json.loads(run("events", "--subject", "ada", "--json").output)
    assert [(entry["kind"], entry["address"], entry["reason"], entry["by"]) for entry in entries] == [
        ("revoked", "198.51.100.9", "reuse_detected", "policy"),
        ("logged_in", "203.0.113.7", None, None),
    ]
    assert entries[0]["at"] > entries[1]["at"]
    table = run("events", "--subject", "ada").output
    for said in ("reuse_detected", "198.51.100.9", "Firefox", newest.session_id, "UTC"):
        assert said in table
    assert len(json.loads(run("events", "--subject", "ada", "--limit", "1", "--json").output)) == 1
    assert json.loads(run("events", "--subject", "nobody", "--json").output) == []


def test_keys(run: Run, auth: Tenure) -> None:
    (first,) = json.loads(run("keys", "list", "--json").output)
    assert (first["algorithm"], first["state"]) == ("ES256", "signs")
    assert "signs in an hour" in run("keys", "rotate").output
    states = {key["kid"]: key["state"] for key in json.loads(run("keys", "list", "--json").output)}
    assert sorted(states.values()) == ["published", "signs"]
    assert states[first["kid"]] == "signs"
    made = json.loads(run("keys", "rotate", "--at-once", "--json").output)
    (only,) = json.loads(run("keys", "list", "--json").output)
    assert (only["kid"], only["state"]) == (made["kid"], "signs")
    assert "2" in run("keys", "list").output


def test_rotating_keeps_the_algorithm_that_the_service_uses(run: Run, tmp_path: Path) -> None:
    with Tenure(
        f"sqlite:///{tmp_path}/tenure.db", secret=SECRET, issuer=ISSUER, audience=AUDIENCE, algorithm="Ed25519"
    ):
        pass
    run("keys", "rotate")
    assert {key["algorithm"] for key in json.loads(run("keys", "list", "--json").output)} == {"Ed25519"}


def inspected(run: Run, token: str) -> dict[str, Any]:
    result = run("inspect", "--json", "-", stdin=token + "\n")
    assert token not in result.output
    assert token not in run("inspect", token).output
    return json.loads(result.output)


def test_inspecting_a_refresh_token(run: Run, auth: Tenure) -> None:
    first = auth.login("ada", device="phone")
    second = auth.refresh(first.refresh_token)
    shown = inspected(run, second.refresh_token)
    assert (shown["genuine"], shown["subject"], shown["device"]) == (True, "ada", "phone")
    assert (shown["generation"], shown["head_generation"]) == (2, 1)
    assert "rotates" in shown["meaning"]
    assert "retry" in inspected(run, first.refresh_token)["meaning"]
    auth.refresh(second.refresh_token)
    assert "ends the family" in inspected(run, first.refresh_token)["meaning"]
    assert auth.sessions("ada")  # looking has changed nothing
    auth.revoke(first.session_id)
    assert "was ended (ended, by application)" in inspected(run, second.refresh_token)["meaning"]
    assert inspected(run, second.refresh_token[:-1] + "A")["genuine"] is (second.refresh_token[-1] == "A")
    assert "forged" in inspected(run, "tnr1_rubbish")["meaning"]


def test_inspecting_a_token_of_an_expired_or_unknown_session(run: Run, tmp_path: Path) -> None:
    def pair_of(url: str) -> str:
        policy = Policy(access_ttl=1, idle_ttl=2, absolute_ttl=2, leeway=0)
        with Tenure(url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE, policy=policy, clock=lambda: 1e9) as old:
            return old.login("ada").refresh_token

    assert "has expired" in inspected(run, pair_of(f"sqlite:///{tmp_path}/tenure.db"))["meaning"]
    assert "not known" in inspected(run, pair_of("memory://"))["meaning"]


def test_inspecting_an_access_token(run: Run, auth: Tenure) -> None:
    pair = auth.login("ada")
    how = ("--issuer", ISSUER, "--audience", AUDIENCE, "--json", pair.access_token)
    shown = json.loads(run("inspect", *how).output)
    assert (shown["meaning"], shown["claims"]["sub"], shown["header"]["typ"]) == ("valid", "ada", "at+jwt")
    auth.revoke(pair.session_id)
    assert json.loads(run("inspect", *how).output)["meaning"] == "valid, but its session has ended"
    assert "another issuer" in inspected(run, pair.access_token)["meaning"]
    for rubbish in ("rubbish", "a.b.c", "", "e30.e30"):
        assert inspected(run, rubbish + "\x00")["type"] in ("unknown", "access token")


def test_without_the_servers_packages_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from tenure.cli import main

    monkeypatch.delitem(sys.modules, "tenure.cli.commands")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SystemExit, match=r"uvicorn is missing.: pip install tenure\[server\]"):
        main()


def test_another_secret_is_an_error_with_a_way_out(run: Run, auth: Tenure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENURE_SECRET", "x" * 32)
    assert "TENURE_SECRET_FALLBACKS" in run("keys", "list", status=1).output
    monkeypatch.setenv("TENURE_SECRET_FALLBACKS", f"{'y' * 32}, {SECRET}")
    run("keys", "list")


def test_purging_deletes_what_is_over_and_nothing_else(run: Run, auth: Tenure, tmp_path: Path) -> None:
    def ended(now: float) -> None:
        clock = lambda: now  # noqa: E731
        url = f"sqlite:///{tmp_path}/tenure.db"
        with Tenure(url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE, clock=clock, poll=3600) as old:
            for number in range(1200):
                old.login(f"user-{number}")

    ended(1e9)
    auth.login("ada")
    assert "is a number of seconds" in run("purge", "--keep", "soon", status=2).output
    assert json.loads(run("purge", "--keep", "30d", "--json").output) == {"deleted": 1200}
    assert run("purge").output == "0 sessions were deleted.\n"
    assert len(auth.sessions("ada")) == 1


def test_migrating_makes_the_tables(run: Run, tmp_path: Path) -> None:
    assert run("migrate").output == "The store's schema is up to date.\n"
    assert (tmp_path / "tenure.db").exists()
    assert "URL of one of these forms" in run("migrate", "--store", "nowhere://", status=1).output
