"""From Flask-JWT-Extended to tenure, while people stay logged in.

@app.post("/refresh")
def refresh():
    return refreshed(sessions)

This takes the place of the project's view with `@jwt_required(refresh=True)`. Flask-JWT-Extended checks an old token as
it always did (where it is sent, its CSRF token, the blocklist); it is then exchanged for a session, once. A token of
tenure, which the same front end sends the next time, is refreshed.
"""

import flask
from flask_jwt_extended import get_jwt, get_jwt_identity, verify_jwt_in_request

from tenure.core.issuer import TokenPair
from tenure.core.tokens import PREFIX
from tenure.integrations.exchange import exchange_once
from tenure.integrations.flask import Sessions

EXCHANGED = "flask_jwt_extended"


def refreshed(sessions: Sessions) -> flask.Response:
    """The response to a refresh token of either kind, as `Authorization: Bearer`: both tokens, new, in the body.

    Raises Flask-JWT-Extended's errors for an old token that is not good, and InvalidGrant for one of tenure's; both
    are answered by their own handlers.
    """
    scheme, _, token = flask.request.headers.get("Authorization", "").partition(" ")
    if scheme == "Bearer" and token.startswith(PREFIX):
        attempt, address = flask.request.headers.get("Idempotency-Key"), flask.request.remote_addr or ""
        pair = sessions.tenure().refresh(token, attempt=attempt, address=address)
    else:
        pair = exchange(sessions)
    return sessions.answer(pair, cookie=False)


def exchange(sessions: Sessions) -> TokenPair:
    """Exchange the old refresh token of this request for a session, once. Raises as `refreshed`."""
    verify_jwt_in_request(refresh=True)
    old = get_jwt()
    return exchange_once(
        sessions.tenure(),
        EXCHANGED,
        str(old["jti"]),
        str(get_jwt_identity()),
        expires_at=float(old.get("exp") or 0.0),
        device=flask.request.headers.get("User-Agent", "")[:1024],
        address=flask.request.remote_addr or "",
    )
