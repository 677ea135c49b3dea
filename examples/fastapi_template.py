"""FastAPI's full-stack template after it was moved over, the parts that change, in one file.

Run it: uvicorn examples.fastapi_template:app, then open http://127.0.0.1:8000/docs, and use the Authorize button.
"""

import hashlib
import os
from typing import Annotated

import jwt
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel

from tenure import Tenure
from tenure.integrations.exchange import exchange_once
from tenure.integrations.fastapi import CurrentSession, Sessions, add_sessions

API_V1_STR = "/api/v1"
SECRET_KEY = os.environ.get("NOTES_SECRET", "for-this-example-only-0123456789-abcdef")


# The template's own models and crud, for which this stands.


class User(BaseModel):
    id: str
    email: str
    is_active: bool = True
    is_superuser: bool = False


USERS = {"1": User(id="1", email="ada@example.com", is_superuser=True), "2": User(id="2", email="bob@example.com")}


def authenticate(email: str, password: str) -> User | None:
    return next((user for user in USERS.values() if user.email == email and password == "correct horse battery"), None)


# app/core/sessions.py is new.


class People:
    """For /api/v1/auth/login, which the front end uses."""

    def authenticate(self, username: str, password: str) -> str | None:
        user = authenticate(username, password)
        return user.id if user and user.is_active else None


auth = Tenure(
    os.environ.get("NOTES_STORE", "sqlite:///notes.db"),  # settings.SQLALCHEMY_DATABASE_URI without "+psycopg"
    secret=SECRET_KEY,
    issuer=os.environ.get("NOTES_ISSUER", "http://127.0.0.1:8000"),  # where people reach the API
    audience="template",
)
sessions = Sessions(auth, authenticator=People(), prefix=f"{API_V1_STR}/auth")


# app/api/deps.py: the session takes the place of PyJWT. The scheme stays, for the Authorize button.

reusable_oauth2 = OAuth2PasswordBearer(tokenUrl=f"{API_V1_STR}/login/access-token", auto_error=False)
TokenDep = Annotated[str | None, Depends(reusable_oauth2)]


def get_current_user(session: CurrentSession, _: TokenDep) -> User:
    user = USERS.get(session.subject)
    if not user or not user.is_active:
        raise HTTPException(status_code=401, detail="This account is gone, or not active.")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


# app/api/routes/login.py: the same address and form; a login begins a session.

router = APIRouter()


@router.post("/login/access-token")
def login_access_token(form_data: Annotated[OAuth2PasswordRequestForm, Depends()], request: Request) -> Response:
    user = authenticate(form_data.username, form_data.password)
    if not user or not user.is_active:
        raise HTTPException(status_code=400, detail="Incorrect email or password")
    return sessions.answer(auth.login(user.id, device=request.headers.get("user-agent", "")), request)


@router.post("/login/exchange")
def exchange(token: TokenDep, request: Request) -> Response:
    """A token of before is exchanged for a session, once. Drop this after eight days."""
    try:
        old = jwt.decode(token or "", SECRET_KEY, algorithms=["HS256"], options={"require": ["exp", "sub"]})
        user = USERS[old["sub"]]
    except (jwt.InvalidTokenError, KeyError):
        raise HTTPException(status_code=401, detail="Log in again.") from None
    if not user.is_active:
        raise HTTPException(status_code=401, detail="Log in again.")
    name = hashlib.sha256(str(token).encode()).hexdigest()
    pair = exchange_once(auth, "template", name, user.id, expires_at=old["exp"])
    return sessions.answer(pair, request)


# app/api/routes/users.py, but for its last line, is as it was.


@router.get("/users/me")
def read_user_me(current_user: CurrentUser) -> User:
    return current_user


@router.patch("/users/{user_id}/deactivate")
def deactivate(user_id: str, current_user: CurrentUser) -> User:
    if not current_user.is_superuser:
        raise HTTPException(status_code=403, detail="The user doesn't have enough privileges")
    USERS[user_id] = USERS[user_id].model_copy(update={"is_active": False})
    auth.revoke_all(user_id, reason="account_deactivated")  # as after a new password
    return USERS[user_id]


# app/main.py

app = FastAPI(title="Template", lifespan=sessions.lifespan)
app.include_router(router, prefix=API_V1_STR)
add_sessions(app, sessions)
