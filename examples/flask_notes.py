"""Notes, with Flask. Run it: flask --app examples.flask_notes run --port 8000."""

import os

from flask import Flask, request

from tenure.integrations.flask import Sessions, current_session, recent, session_required

PEOPLE = {"ada": "correct horse battery", "bob": "staple of the horse"}
NOTES: dict[str, list[str]] = {}
MAIL: dict[str, str] = {}


class Accounts:
    """Stands for your own user database, and your own password hashing."""

    def authenticate(self, username: str, password: str) -> str | None:
        return username if PEOPLE.get(username) == password else None


sessions = Sessions(
    authenticator=Accounts(),
    claims=lambda session: {"roles": ["admin"] if session.subject == "ada" else []},
)


def create_app(store: str = "sqlite:///notes.db") -> Flask:
    app = Flask(__name__)
    app.config.update(
        TENURE_STORE=store,
        TENURE_SECRET=os.environ.get("NOTES_SECRET", "for-this-example-only-0123456789-abcdef"),
        TENURE_ISSUER="http://127.0.0.1:8000",
        TENURE_AUDIENCE="notes",
    )
    sessions.init_app(app)

    @app.get("/notes")
    @session_required
    def notes():
        return NOTES.get(current_session.subject, [])

    @app.post("/notes")
    @session_required
    def write():
        NOTES.setdefault(current_session.subject, []).append(request.get_data(as_text=True))
        return NOTES[current_session.subject]

    @app.put("/mail")
    @recent(minutes=5)  # whoever logged in longer ago is asked for the password first
    def change_mail():
        MAIL[current_session.subject] = request.get_data(as_text=True)
        return MAIL[current_session.subject]

    @app.get("/statistics")
    @session_required(role="admin")
    def statistics():
        return {user: len(written) for user, written in NOTES.items()}

    @app.get("/export")
    @session_required(scope="notes:export")
    def export():
        return NOTES

    return app
