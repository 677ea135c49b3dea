"""Sign up and log in by a passkey, with FastAPI. Run it: uvicorn examples.passkeys:app, then open
http://localhost:8000. `acr` tells the rest of the application that the login resists phishing."""

import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

import webauthn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AuthenticatorSelectionCriteria, ResidentKeyRequirement

from tenure import AsyncTenure
from tenure.integrations.fastapi import CurrentUser, Sessions, acr, add_sessions

ISSUER = os.environ.get("NOTES_ISSUER", "http://localhost:8000")
SITE = {"expected_rp_id": "localhost", "expected_origin": ISSUER}  # your domain, and the address of its pages
RESIDENT = AuthenticatorSelectionCriteria(resident_key=ResidentKeyRequirement.REQUIRED)
CHALLENGES: dict[bytes, tuple[str, float]] = {}  # stand for two tables: a challenge, for whom and until when;
KEYS: dict[str, tuple[str, bytes, int]] = {}  # a passkey's id, whose it is, its public key and its counter

auth = AsyncTenure(
    os.environ.get("NOTES_STORE", "sqlite:///notes.db"),
    secret=os.environ.get("NOTES_SECRET", "for-this-example-only-0123456789-abcdef"),
    issuer=ISSUER,
    audience="notes",
)
sessions = Sessions(auth)
app = FastAPI(lifespan=sessions.lifespan)
add_sessions(app, sessions)


def challenge(name: str = "") -> bytes:
    made = secrets.token_bytes(32)
    CHALLENGES[made] = (name, time.time() + 300)
    return made


def check_free(name: str) -> None:
    if not name or any(owner == name for owner, _, _ in KEYS.values()):
        raise WebAuthnException("Choose another name.")


def answered(credential: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """For whom the challenge was made that a credential answers, which works once; and how to verify it."""
    try:
        said = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        made = base64url_to_bytes(said["challenge"])
        name, until = CHALLENGES.pop(made)
    except (LookupError, TypeError, ValueError):
        raise WebAuthnException("That is no answer to a challenge of ours. Begin again.") from None
    if until < time.time():
        raise WebAuthnException("That took too long. Begin again.")
    return name, {"credential": credential, "expected_challenge": made, **SITE}


@app.post("/passkeys/new")
async def new(name: str) -> Response:
    check_free(name)
    options = webauthn.generate_registration_options(
        rp_id="localhost", rp_name="Notes", user_name=name, challenge=challenge(name), authenticator_selection=RESIDENT
    )
    return Response(webauthn.options_to_json(options), media_type="application/json")


@app.post("/passkeys/challenge")
async def ask() -> Response:
    options = webauthn.generate_authentication_options(rp_id="localhost", challenge=challenge())
    return Response(webauthn.options_to_json(options), media_type="application/json")


@app.post("/passkeys/register")
async def register(credential: dict[str, Any], request: Request) -> Response:
    name, how = answered(credential)
    key = webauthn.verify_registration_response(**how)
    check_free(name)  # nobody else has signed up by it meanwhile
    KEYS[bytes_to_base64url(key.credential_id)] = (name, key.credential_public_key, key.sign_count)
    return await enter(name, request)


@app.post("/passkeys/login")
async def login(credential: dict[str, Any], request: Request) -> Response:
    _, how = answered(credential)
    name, key, count = KEYS.get(str(credential.get("id")), ("", b"", 0))
    if not name:
        raise WebAuthnException("This passkey is not known here.")
    proven = webauthn.verify_authentication_response(
        **how, credential_public_key=key, credential_current_sign_count=count
    )
    KEYS[str(credential["id"])] = (name, key, proven.new_sign_count)
    return await enter(name, request)


async def enter(name: str, request: Request) -> Response:
    """Whatever has authenticated the user, a session begins like this."""
    pair = await auth.login(name, device=request.headers.get("user-agent", ""), acr="phr", amr=["pop"])
    return sessions.answer(pair, request)


@app.exception_handler(WebAuthnException)
async def refused(_: Request, problem: WebAuthnException) -> JSONResponse:
    return JSONResponse({"detail": str(problem)}, 400)


@app.get("/secret", dependencies=[acr("phr")])
async def secret(user: CurrentUser) -> str:
    return f"for {user}, who has shown a passkey"


@app.get("/")
async def page() -> HTMLResponse:
    return HTMLResponse(Path(__file__).with_suffix(".html").read_text())
