"""Notes, with FastAPI. Run it: uvicorn examples.fastapi_notes:app, then open http://127.0.0.1:8000/docs."""

import os

from fastapi import FastAPI, WebSocket

from tenure import AsyncTenure
from tenure.integrations.fastapi import (
    CurrentSession,
    CurrentUser,
    Sessions,
    WebSocketSession,
    add_sessions,
    recent,
    role,
    scope,
)

PEOPLE = {"ada": "correct horse battery", "bob": "staple of the horse"}
NOTES: dict[str, list[str]] = {}
MAIL: dict[str, str] = {}


class Accounts:
    """Stands for your own user database, and your own password hashing."""

    def authenticate(self, username: str, password: str) -> str | None:
        return username if PEOPLE.get(username) == password else None


auth = AsyncTenure(
    os.environ.get("NOTES_STORE", "sqlite:///notes.db"),
    secret=os.environ.get("NOTES_SECRET", "for-this-example-only-0123456789-abcdef"),
    issuer="http://127.0.0.1:8000",
    audience="notes",
    claims=lambda session: {"roles": ["admin"] if session.subject == "ada" else []},
)
sessions = Sessions(auth, authenticator=Accounts())
app = FastAPI(lifespan=sessions.lifespan)
add_sessions(app, sessions)


@app.get("/notes")
async def notes(user: CurrentUser) -> list[str]:
    return NOTES.get(user, [])


@app.post("/notes")
async def write(text: str, session: CurrentSession) -> list[str]:
    NOTES.setdefault(session.subject, []).append(text)
    return NOTES[session.subject]


@app.put("/mail", dependencies=[recent(minutes=5)])
async def change_mail(address: str, user: CurrentUser) -> str:
    """Whoever logged in longer ago is asked for the password first."""
    MAIL[user] = address
    return address


@app.get("/statistics", dependencies=[role("admin")])
async def statistics() -> dict[str, int]:
    return {user: len(written) for user, written in NOTES.items()}


@app.get("/export", dependencies=[scope("notes:export")])
async def export() -> dict[str, list[str]]:
    return NOTES


@app.websocket("/live")
async def live(websocket: WebSocket, session: WebSocketSession) -> None:
    """Echoes, until the session ends: then the connection is closed at once."""
    await websocket.accept(subprotocol="bearer" if websocket.scope["subprotocols"] else None)
    async with sessions.closing(websocket, session):
        async for text in websocket.iter_text():
            await websocket.send_text(f"{session.subject}: {text}")
