"""An application with fastapi-users, whose logins are sessions of tenure."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin, schemas
from fastapi_users.db import BaseUserDatabase
from fastapi_users.password import PasswordHelper
from pwdlib import PasswordHash
from pwdlib.hashers.bcrypt import BcryptHasher
from starlette.testclient import TestClient

from tenure import AsyncTenure, Tenure
from tenure.integrations.fastapi import Sessions, add_sessions
from tenure.integrations.fastapi_users import tenure_backend
from tests.conftest import AUDIENCE, SECRET, Clock
from tests.dpop import Key

ORIGIN = "https://app.example.com"
ADA = {"email": "ada@example.com", "password": "correct horse battery"}


@dataclass
class User:
    id: int
    email: str
    hashed_password: str
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = False


class Database(BaseUserDatabase[User, int]):
    def __init__(self) -> None:
        self.users: dict[int, User] = {}

    async def get(self, id: int) -> User | None:
        return self.users.get(id)

    async def get_by_email(self, email: str) -> User | None:
        return next((user for user in self.users.values() if user.email == email), None)

    async def create(self, create_dict: dict[str, Any]) -> User:
        user = User(len(self.users) + 1, **create_dict)
        self.users[user.id] = user
        return user

    async def update(self, user: User, update_dict: dict[str, Any]) -> User:
        for name, value in update_dict.items():
            setattr(user, name, value)
        return user


class Manager(IntegerIDMixin, BaseUserManager[User, int]):
    pass


class Site:
    """The application, its database, and a client of it."""

    def __init__(self, auth: AsyncTenure | Tenure, **options: Any) -> None:
        self.database = Database()
        helper = PasswordHelper(PasswordHash((BcryptHasher(rounds=4),)))

        async def manager() -> Any:
            yield Manager(self.database, helper)

        sessions = Sessions(auth)
        backend = tenure_backend(sessions, **options)
        users = FastAPIUsers[User, int](manager, [backend])
        self.app = FastAPI(lifespan=sessions.lifespan)
        self.app.include_router(users.get_auth_router(backend), prefix="/auth/jwt")
        self.app.include_router(
            users.get_register_router(schemas.BaseUser[int], schemas.BaseUserCreate), prefix="/auth"
        )
        add_sessions(self.app, sessions)

        @self.app.get("/me")
        async def me(user: User = Depends(users.current_user(active=True))) -> Any:  # noqa: B008 - FastAPI's way
            return {"email": user.email}

        self.http = TestClient(self.app, base_url=ORIGIN)

    def login(self, **headers: str) -> Any:
        form = {"username": ADA["email"], "password": ADA["password"]}
        return self.http.post("/auth/jwt/login", data=form, headers=headers)


def bearer(pair: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access_token']}"}


@pytest.fixture(params=["async", "blocking"])
def site(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Site]:
    kind: Any = AsyncTenure if request.param == "async" else Tenure
    auth = kind(f"sqlite:///{tmp_path}/x.db", secret=SECRET, issuer=ORIGIN, audience=AUDIENCE, clock=clock)
    made = Site(auth)
    with made.http:
        assert made.http.post("/auth/register", json=ADA).status_code == 201
        yield made


def test_a_login_lasts_and_ends_at_once(site: Site, clock: Clock) -> None:
    pair = site.login(**{"User-Agent": "Firefox/1"}).json()
    assert site.http.get("/me", headers=bearer(pair)).json() == {"email": ADA["email"]}
    clock.advance(601)
    assert site.http.get("/me", headers=bearer(pair)).status_code == 401
    fresh = site.http.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]}).json()
    assert site.http.get("/me", headers=bearer(fresh)).status_code == 200
    (listed,) = site.http.get("/auth/sessions", headers=bearer(fresh)).json()["sessions"]
    assert listed["device"] == "Firefox/1"
    assert site.http.post("/auth/jwt/logout", headers=bearer(fresh)).status_code == 204
    assert site.http.get("/me", headers=bearer(fresh)).status_code == 401
    refused = site.http.post("/auth/refresh", json={"refresh_token": fresh["refresh_token"]})
    assert refused.json()["reason"] == "revoked"


def test_who_is_nobody_or_inactive_is_refused(site: Site) -> None:
    pair = site.login().json()
    site.database.users[1].is_active = False
    assert site.http.get("/me", headers=bearer(pair)).status_code == 401
    assert site.login().status_code == 400
    site.database.users.clear()
    assert site.http.get("/me", headers=bearer(pair)).status_code == 401
    for headers in ({}, {"Authorization": "Bearer rubbish"}, {"Authorization": "Basic x"}):
        assert site.http.get("/me", headers=headers).status_code == 401
    assert site.http.post("/auth/jwt/logout").status_code == 401


def test_a_session_that_is_bound_to_a_key(site: Site, clock: Clock) -> None:
    pair, key = site.login().json(), Key()
    nonce = site.http.post(
        "/auth/refresh", json={"refresh_token": pair["refresh_token"]},
        headers={"DPoP": key.proof("POST", f"{ORIGIN}/auth/refresh", clock.now)},
    ).headers["DPoP-Nonce"]  # fmt: skip
    bound = site.http.post(
        "/auth/refresh", json={"refresh_token": pair["refresh_token"]},
        headers={"DPoP": key.proof("POST", f"{ORIGIN}/auth/refresh", clock.now, nonce=nonce)},
    ).json()  # fmt: skip
    assert site.http.get("/me", headers=bearer(bound)).status_code == 401
    token = bound["access_token"]
    headers = {
        "Authorization": f"DPoP {token}",
        "DPoP": key.proof("GET", f"{ORIGIN}/me", clock.now, access_token=token, nonce=nonce),
    }
    assert site.http.get("/me", headers=headers).status_code == 200


def test_with_a_cookie(tmp_path: Path, clock: Clock) -> None:
    auth = AsyncTenure(f"sqlite:///{tmp_path}/x.db", secret=SECRET, issuer=ORIGIN, audience=AUDIENCE, clock=clock)
    site = Site(auth, cookie=True, lifetime="browser")
    with site.http:
        site.http.post("/auth/register", json=ADA)
        answer = site.login()
        assert "refresh_token" not in answer.json()
        assert "Max-Age" not in next(one for one in answer.headers.get_list("set-cookie") if "tenure-refresh" in one)
        refreshed = site.http.post("/auth/refresh", headers={"Sec-Fetch-Site": "same-origin"})
        assert refreshed.status_code == 200
        site.http.post("/auth/jwt/logout", headers=bearer(refreshed.json()))
        assert not [cookie.name for cookie in site.http.cookies.jar if "refresh" in cookie.name]


def test_the_openapi_page_lets_one_log_in(site: Site) -> None:
    document = site.http.get("/openapi.json").json()
    (flow,) = [
        scheme["flows"]["password"]
        for scheme in document["components"]["securitySchemes"].values()
        if scheme["type"] == "oauth2"
    ]
    assert flow["tokenUrl"] == "auth/jwt/login"
    assert {"/auth/jwt/login", "/auth/refresh", "/auth/devices"} <= set(document["paths"])
