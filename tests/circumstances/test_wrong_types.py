"""What people hand in: every argument of every public function, of every wrong type that one might plausibly pass.

The answer is either an error of tenure's own, or that it works; never an error from inside.
"""

import asyncio
import datetime
import inspect
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tenure import AsyncTenure, ConfigurationError, InvalidRequest, Policy, Tenure, TenureError, Verifier
from tenure.http.cookies import CookieTransport
from tests.conftest import AUDIENCE, ISSUER, SECRET


class Model:
    """An instance of somebody's ORM."""

    id = 42


WRONG: list[Any] = [
    42,
    -1,
    1.5,
    float("nan"),
    True,
    None,
    "",
    "text",
    "\ud800",
    "nul\0",
    b"bytes",
    uuid.UUID(int=7),
    Model(),
    datetime.datetime(2026, 1, 1),
    datetime.timedelta(minutes=5),
    Path("store.db"),
    {1, 2},
    [],
    ["text", 7],
    {},
    {"a": object()},
    {1: 2},
]

VALID: dict[str, Any] = {
    "store": "memory://",
    "secret": SECRET,
    "issuer": ISSUER,
    "audience": AUDIENCE,
    "subject": "user-42",
    "session_id": "0" * 32,
    "jwks": {"keys": []},
    "origin": ISSUER,
}


def arguments(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(function).parameters)
    found.pop("self", None)
    return {name: parameter for name, parameter in found.items() if parameter.kind is not parameter.VAR_KEYWORD}


def attempts(function: Callable[..., Any], valid: dict[str, Any]) -> Iterator[dict[str, Any]]:
    parameters = arguments(function)
    needed = {name: valid[name] for name, one in parameters.items() if one.default is one.empty}
    for name in parameters:
        for wrong in WRONG:
            yield {**needed, name: wrong}


def said(refusal: TenureError) -> None:
    assert str(refusal).endswith((".", ")", "'", "?"))
    assert SECRET not in str(refusal)


def tried(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    try:
        return function(**given)
    except TenureError as refusal:
        said(refusal)
        return None
    except Exception as inside:
        shown = {name: repr(value) for name, value in given.items() if VALID.get(name) is not value}
        raise AssertionError(f"{function} {shown}: {inside!r}") from inside


@pytest.mark.parametrize("kind", [Tenure, AsyncTenure, Verifier, Policy, CookieTransport])
def test_constructors(kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given in attempts(kind, VALID):
        made = tried(kind, given)
        if isinstance(made, Tenure | Verifier):
            made.close()


METHODS = [
    *("login", "refresh", "verify", "sessions", "audit", "revoke", "revoke_all"),
    *("overview", "latest", "count_where", "revoke_where"),
]


@pytest.mark.parametrize("method", METHODS)
def test_methods(method: str) -> None:
    with Tenure("memory://", secret=SECRET, issuer=ISSUER, audience=AUDIENCE) as auth:
        pair = auth.login("user-42")
        valid = {**VALID, "refresh_token": pair.refresh_token, "access_token": pair.access_token}
        for given in attempts(getattr(auth, method), valid):
            tried(getattr(auth, method), given)


@pytest.mark.parametrize("method", METHODS)
def test_async_methods(method: str) -> None:
    async def story() -> None:
        async with AsyncTenure("memory://", secret=SECRET, issuer=ISSUER, audience=AUDIENCE) as auth:
            pair = await auth.login("user-42")
            valid = {**VALID, "refresh_token": pair.refresh_token, "access_token": pair.access_token}
            for given in attempts(getattr(auth, method), valid):
                try:
                    await getattr(auth, method)(**given)
                except TenureError as refusal:
                    said(refusal)

    asyncio.run(story())


def test_a_verifier_is_handed_anything() -> None:
    verifier = Verifier({"keys": []}, ISSUER, AUDIENCE)
    for wrong in WRONG:
        tried(verifier.verify, {"token": wrong})


def test_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenure.client import FileStorage, KeyringStorage, Session

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for kind in (Session, FileStorage, KeyringStorage):
        for given in attempts(kind, {"path": "session.json", "service": "me", "username": "ada"}):
            tried(kind, given)


def test_the_clients_methods() -> None:
    from tenure.client import Session

    answer = httpx2.MockTransport(lambda _: httpx2.Response(400, json={"error": "invalid_grant"}))
    valid = {"refresh_token": "text", "username": "ada", "password": "text", "url": ISSUER, "refused": "text"}
    with httpx2.Client(transport=answer) as http:
        for method in ("adopt", "login", "token", "refresh", "renewed", "check_destination"):
            for given in attempts(getattr(Session, method), valid):
                session = Session(f"{ISSUER}/auth", http=http)
                tried(getattr(session, method), given)


def test_sessions_of_starlette(tmp_path: Path) -> None:
    from tenure.integrations.starlette import Sessions

    with Tenure("memory://", secret=SECRET, issuer=ISSUER, audience=AUDIENCE) as auth:
        for given in attempts(Sessions, {"auth": auth}):
            tried(Sessions, given)


def test_sessions_of_flask() -> None:
    import flask

    from tenure.integrations.flask import Sessions

    for given in attempts(Sessions, {}):
        tried(Sessions, given)
    app = flask.Flask(__name__)
    app.config.update(TENURE_STORE=Path("x.db"), TENURE_SECRET=SECRET, TENURE_ISSUER=ISSUER, TENURE_AUDIENCE=AUDIENCE)
    sessions = Sessions(app)
    with pytest.raises(ConfigurationError, match=r"sqlite:///"), app.app_context():
        sessions.tenure()


@pytest.mark.parametrize("user_id", [42, uuid.UUID(int=7)])
def test_the_commonest_ids_are_told_how_to_be_passed(user_id: Any) -> None:
    with Tenure("memory://", secret=SECRET, issuer=ISSUER, audience=AUDIENCE) as auth:
        with pytest.raises(InvalidRequest, match=rf"not {type(user_id).__name__}.*str\(user\.id\)"):
            auth.login(user_id)
        assert auth.login(str(user_id)).subject == str(user_id)
        assert len(auth.sessions(str(user_id))) == 1


def test_a_path_is_told_how_to_be_named() -> None:
    with pytest.raises(ConfigurationError, match=r"sqlite:///"):
        Tenure(Path("tenure.db"), secret=SECRET, issuer=ISSUER, audience=AUDIENCE)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"fallbacks is a list"):
        Tenure("memory://", secret=SECRET, issuer=ISSUER, audience=AUDIENCE, fallbacks=SECRET)
