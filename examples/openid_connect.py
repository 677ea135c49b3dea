"""Log in at an OpenID Connect provider, with FastAPI and Authlib. Run it: uvicorn examples.openid_connect:app.

The provider says who the user is, once; after that, the session is here. When the user logs out or is locked there,
the provider says so (OpenID Connect Back-Channel Logout 1.0), and the session ends at once.
"""

import os
import time
from typing import Annotated, Any

from authlib.integrations.starlette_client import OAuth, OAuthError
from fastapi import FastAPI, Form, Request
from fastapi.responses import JSONResponse, Response
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from starlette.middleware.sessions import SessionMiddleware

from tenure import AsyncTenure
from tenure.integrations.fastapi import PageSession, Sessions, add_sessions

ISSUER = os.environ.get("NOTES_ISSUER", "http://127.0.0.1:8000")
SECRET = os.environ.get("NOTES_SECRET", "for-this-example-only-0123456789-abcdef")
PROVIDER = os.environ.get("NOTES_PROVIDER", "http://localhost:9000")
CLIENT_ID = "notes"
LOGGED_OUT = "http://schemas.openid.net/event/backchannel-logout"
LASTS_SECONDS = 300
STARTED: dict[str, list[str]] = {}  # stand for two tables: the provider's session, and those that began from it;
USED: dict[str, float] = {}  # the logout tokens of the last minutes

auth = AsyncTenure(os.environ.get("NOTES_STORE", "sqlite:///notes.db"), secret=SECRET, issuer=ISSUER, audience="notes")
sessions = Sessions(auth, login_page="/enter")
app = FastAPI(lifespan=sessions.lifespan)
app.add_middleware(SessionMiddleware, secret_key=SECRET, session_cookie="login", max_age=600)  # while logging in
add_sessions(app, sessions)
provider: Any = OAuth().register(
    "provider",
    client_id=CLIENT_ID,
    client_secret=os.environ.get("NOTES_CLIENT_SECRET", "secret-of-this-example"),
    server_metadata_url=f"{PROVIDER}/.well-known/openid-configuration",
    client_kwargs={"scope": "openid", "code_challenge_method": "S256"},
)


@app.get("/enter")
async def enter(request: Request, next: str = "/") -> Response:
    request.session["next"] = next
    return await provider.authorize_redirect(request, f"{ISSUER}/callback")


@app.get("/callback")
async def callback(request: Request) -> Response:
    try:
        user = (await provider.authorize_access_token(request))["userinfo"]
    except OAuthError as refused:
        return JSONResponse({"detail": f"The provider did not log you in: {refused.error}."}, 400)
    device = request.headers.get("user-agent", "")
    pair = await auth.login(user["sub"], device=device, acr=user.get("acr"), amr=user.get("amr", ()))
    STARTED.setdefault(user.get("sid", ""), []).append(pair.session_id)
    return sessions.answer_page(pair, request, to=request.session.pop("next", "/"))


@app.post("/backchannel-logout")
async def backchannel_logout(logout_token: Annotated[str, Form()]) -> Response:
    try:
        said = await checked(logout_token)
    except (JoseError, LookupError, TypeError, ValueError):
        return JSONResponse({"error": "invalid_request"}, 400, {"Cache-Control": "no-store"})
    if "sid" in said:
        for session_id in STARTED.pop(said["sid"], []):
            await auth.revoke(session_id, reason="logged_out", by="provider")
    else:
        await auth.revoke_all(said["sub"], reason="logged_out", by="provider")
    return Response(status_code=200, headers={"Cache-Control": "no-store"})


async def checked(logout_token: str) -> dict[str, Any]:
    """The claims of a logout token (section 2.6). Raises for one that is not good."""
    metadata = await provider.load_server_metadata()
    algorithms = metadata.get("id_token_signing_alg_values_supported", ["RS256"])
    try:
        keys = KeySet.import_key_set(await provider.fetch_jwk_set())
        claims = jwt.decode(logout_token, keys, algorithms=algorithms).claims
    except InvalidKeyIdError:
        keys = KeySet.import_key_set(await provider.fetch_jwk_set(force=True))
        claims = jwt.decode(logout_token, keys, algorithms=algorithms).claims
    audience, now = claims["aud"], time.time()
    for used in [used for used, until in USED.items() if until < now]:
        del USED[used]
    good = (
        claims["iss"] == metadata["issuer"]
        and CLIENT_ID in (audience if isinstance(audience, list) else [audience])
        and abs(now - claims["iat"]) < LASTS_SECONDS
        and claims.get("exp", now) >= now
        and LOGGED_OUT in claims["events"]
        and "nonce" not in claims
        and ("sid" in claims or "sub" in claims)
        and claims["jti"] not in USED
    )
    if not good:
        raise ValueError
    USED[claims["jti"]] = now + 2 * LASTS_SECONDS
    return claims


@app.get("/")
async def home(session: PageSession) -> str:
    return f"Hello {session.subject}"
