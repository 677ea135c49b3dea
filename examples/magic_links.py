"""Log in by a link in an e-mail, with FastAPI. Run it: uvicorn examples.magic_links:app, then see what it prints."""

import hashlib
import os
import secrets
import time
from html import escape
from typing import Annotated

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse

from tenure import AsyncTenure
from tenure.integrations.fastapi import PageSession, Sessions, add_sessions

ISSUER = os.environ.get("NOTES_ISSUER", "http://127.0.0.1:8000")
LASTS_SECONDS = 900
LINKS: dict[bytes, tuple[str, float]] = {}  # stands for a table: the hash of a link's token, for whom, until when

auth = AsyncTenure(
    os.environ.get("NOTES_STORE", "sqlite:///notes.db"),
    secret=os.environ.get("NOTES_SECRET", "for-this-example-only-0123456789-abcdef"),
    issuer=ISSUER,
    audience="notes",
)
sessions = Sessions(auth, login_page="/enter")
app = FastAPI(lifespan=sessions.lifespan)
add_sessions(app, sessions)


def mail(address: str, text: str) -> None:
    """Stands for your way to send mail."""
    print(f"To {address}: {text}")


def page(form: str) -> HTMLResponse:
    return HTMLResponse(f'<!doctype html><title>Notes</title><form method="post" {form}</form>')


@app.get("/enter")
async def enter() -> HTMLResponse:
    return page('action="/enter"><input name="email" type="email" required><button>Send me a link</button>')


@app.post("/enter")
async def send(email: Annotated[str, Form(max_length=255)]) -> HTMLResponse:
    """The response is the same for every address, so it tells nobody who has an account."""
    token = secrets.token_urlsafe(32)
    LINKS[hashlib.sha256(token.encode()).digest()] = (email.lower(), time.time() + LASTS_SECONDS)
    mail(email, f"Log in to Notes: {ISSUER}/link?token={token}")
    return HTMLResponse("<p>We have sent you a link. It works once, for 15 minutes.</p>")


@app.get("/link")
async def link(token: str) -> HTMLResponse:
    """Asks for a click: programs that check mail open links as well, and would use it up."""
    return page(f'action="/link"><input type="hidden" name="token" value="{escape(token)}"><button>Log in</button>')


@app.post("/link")
async def follow(token: Annotated[str, Form()], request: Request):
    email, until = LINKS.pop(hashlib.sha256(token.encode()).digest(), ("", 0.0))
    if until < time.time():
        return HTMLResponse('<p>This link was used, or is too old.</p><a href="/enter">Get another one</a>', 400)
    pair = await auth.login(email, device=request.headers.get("user-agent", ""), amr=["otp"])
    return sessions.answer_page(pair, request, to="/")


@app.get("/")
async def home(session: PageSession) -> HTMLResponse:
    return HTMLResponse(f"<p>Hello {escape(session.subject)}</p>")
