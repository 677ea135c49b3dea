"""A project that uses simplejwt as people do is moved over by changed imports, and its people stay logged in."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.service.process import environment

ADA = {"username": "ada", "password": "correct horse battery"}
OLD, NEW = "rest_framework_simplejwt", "tenure.integrations.django.simplejwt"
MODULES = ("authentication", "serializers", "tokens", "views")
TENURE = {"SECRET": "of-tenure-0123456789-abcdefghijklmnop", "ISSUER": "http://127.0.0.1:8000", "AUDIENCE": "app"}

Answers = list[dict[str, Any]]


class Project:
    """The project in a folder, each time in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "project.py"
        self.old: Answers = []
        self.file.write_text((Path(__file__).with_name("simplejwt_project.py")).read_text())
        self.manage("migrate", "--verbosity", "0")

    def move(self, imports: bool = True) -> None:
        """What the page says."""
        settings = {
            "APPS": ["tenure.integrations.django"],
            "URLS": ["tenure.integrations.django.urls"],
            "TENURE": TENURE,
        }
        text = self.file.read_text().replace("MOVED = {}", f"MOVED = {settings!r}")
        if imports:
            text = moved(text, *MODULES)
        self.file.write_text(text)
        self.manage("migrate", "--verbosity", "0")

    def manage(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "project.py", *arguments], cwd=self.folder, env=environment(), input=stdin,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done

    def ask(self, *requests: tuple[str, str, Any, dict[str, Any]]) -> Answers:
        answers: Answers = json.loads(self.manage("ask", stdin=json.dumps(requests)).stdout)
        return answers


def post(address: str, body: Any, **headers: Any) -> tuple[str, str, Any, dict[str, Any]]:
    return "POST", address, body, headers


def get(address: str, **headers: Any) -> tuple[str, str, Any, dict[str, Any]]:
    return "GET", address, {}, headers


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Before the move, ada has registered, and logged in twice; after it, the tokens of then are at hand."""
    made = Project(tmp_path_factory.mktemp("project"))
    made.old = made.ask(post("/register/", ADA), post("/token/", ADA), post("/token/", ADA), post("/token/plain/", ADA))
    made.move()
    return made


def statuses(answers: Answers) -> list[int]:
    return [answer["status"] for answer in answers]


def test_old_access_tokens_are_good_in_every_view(project: Any) -> None:
    access = project.old[1]["body"]["access"]
    answers = project.ask(
        get("/whoami/", bearer=access),
        get("/stateless/", bearer=access),
        get("/cookie/", cookies={"access": access}),
        post("/token/verify/", {"token": access}),
        get("/whoami/", bearer=access[:-4]),
    )
    assert statuses(answers) == [200, 200, 200, 200, 401]
    assert answers[0]["body"] == {"user": "ada", "name": "ada", "id": "1"}


def test_old_refresh_tokens_become_sessions(project: Any) -> None:
    old = project.old[1]["body"]["refresh"]
    answers = project.ask(
        post("/token/refresh/", {"refresh": old}),
        get("/whoami/", bearer="$0.access"),
        post("/token/refresh/", {"refresh": "$0.refresh"}),
        post("/token/refresh/", {"refresh": old}),
        post("/token/cookie/", {}, cookies={"refresh": "$2.refresh"}),
    )
    assert statuses(answers) == [200, 200, 200, 401, 200]
    assert answers[0]["body"]["refresh"].startswith("tnr1_")
    assert answers[3]["body"]["code"] == "token_not_valid"


def test_new_logins_are_sessions_in_every_view(project: Any) -> None:
    answers = project.ask(
        post("/token/", ADA),
        get("/whoami/", bearer="$0.access"),
        get("/stateless/", bearer="$0.access"),
        get("/cookie/", cookies={"access": "$0.access"}),
        post("/token/verify/", {"token": "$0.access"}),
        post("/token/verify/", {"token": "$0.refresh"}),
        post("/token/refresh/", {"refresh": "$0.refresh"}),
        get("/whoami/", bearer="$6.access"),
        get("/auth/sessions", bearer="$0.access", **{"User-Agent": "x"}),
    )
    assert statuses(answers) == [200] * 9
    assert answers[0]["body"]["greeting"] == "Hello ada"
    for number in (1, 7):
        assert answers[number]["body"] == {"user": "ada", "name": "ada", "id": "1"}
    assert answers[2]["body"] == {"id": "1"}
    assert answers[0]["body"]["refresh"].startswith("tnr1_")


def test_a_stolen_token_ends_the_session(project: Any) -> None:
    answers = project.ask(
        post("/token/", ADA),
        post("/token/refresh/", {"refresh": "$0.refresh"}),
        post("/token/refresh/", {"refresh": "$1.refresh"}),
        post("/token/refresh/", {"refresh": "$0.refresh"}),
        post("/token/refresh/", {"refresh": "$2.refresh"}),
        get("/whoami/", bearer="$2.access"),
        post("/token/verify/", {"token": "$2.refresh"}),
    )
    assert statuses(answers) == [200, 200, 200, 401, 401, 401, 401]


@pytest.mark.parametrize("by", ["/logout/", "/token/blacklist/"])
def test_logging_out_ends_the_session_at_once(project: Any, by: str) -> None:
    answers = project.ask(
        post("/token/", ADA),
        post("/token/refresh/", {"refresh": "$0.refresh"}),
        post(by, {"refresh": "$0.refresh"}, bearer="$1.access"),  # the one before: the session is the same
        get("/whoami/", bearer="$1.access"),
        post("/token/refresh/", {"refresh": "$1.refresh"}),
        post("/token/blacklist/", {"refresh": "$1.refresh"}),
    )
    assert statuses(answers) == [200, 200, 205 if by == "/logout/" else 200, 401, 401, 401]


def test_logging_out_with_an_old_token_still_works(project: Any) -> None:
    old = project.old[2]["body"]
    answers = project.ask(
        post("/logout/", {"refresh": old["refresh"]}, bearer=old["access"]),
        post("/logout/", {"refresh": old["refresh"]}, bearer=old["access"]),
        post("/token/refresh/", {"refresh": old["refresh"]}),
    )
    assert statuses(answers) == [205, 400, 401]


def test_registering_begins_a_session(project: Any) -> None:
    answers = project.ask(
        post("/register/", {"username": "bob", "password": "staple of the horse"}),
        get("/whoami/", bearer="$0.access"),
        post("/token/refresh/", {"refresh": "$0.refresh"}),
    )
    assert statuses(answers) == [200, 200, 200]
    assert answers[1]["body"]["user"] == "bob"


def test_what_is_wrong_is_refused_as_before(project: Any) -> None:
    answers = project.ask(
        post("/token/", {**ADA, "password": "wrong"}),
        post("/token/", {}),
        post("/token/refresh/", {}),
        post("/token/refresh/", {"refresh": "rubbish"}),
        post("/token/refresh/", {"refresh": "tnr1_" + "A" * 112}),
        post("/token/refresh/", {"refresh": "tnr1_rubbish"}),
        post("/token/refresh/", {"refresh": 7}),
        post("/token/verify/", {"token": "tnr1_" + "A" * 112}),
        post("/token/verify/", {"token": "eyJ0eXAiOiJhdCtqd3QifQ.e30.x"}),
        post("/token/blacklist/", {"refresh": "tnr1_" + "A" * 112}),
        get("/whoami/", bearer="eyJ0eXAiOiJhdCtqd3QifQ.e30.x"),
        get("/whoami/", bearer="ÿ.ÿ"),
        get("/whoami/"),
        get("/token/refresh/"),
    )
    assert statuses(answers) == [401, 400, 400, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 405]


def test_the_check_finds_nothing_more_to_do(project: Any) -> None:
    assert "tenure.W" not in project.manage("check").stderr


def moved(text: str, *modules: str) -> str:
    """The project's text with changed imports of these modules."""
    for module in modules:
        text = text.replace(f"from {OLD}.{module} import", f"from {NEW}.{module} import")
    return text


def test_the_check_names_what_is_left(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.move(imports=False)
    assert "tenure.W" not in project.manage("check").stderr  # simplejwt alone is nothing to warn of
    text = project.file.read_text()
    rotating = '"ROTATE_REFRESH_TOKENS": True'
    project.file.write_text(moved(text, "serializers", "views").replace(rotating, rotating.replace("True", "False")))
    said = project.manage("check").stderr
    for view in ("Whoami", "Stateless", "FromCookie", "logout"):
        assert re.search(rf"tenure.W004\) \S*{view} \(at '\w+/'\) refuses", said), view
    assert "tenure.W005" not in said
    assert re.search(r"tenure.W006\) The module \w+ uses simplejwt's RefreshToken", said)
    assert "tenure.W007" in said
    project.file.write_text(moved(text, "authentication", "serializers", "tokens"))
    said = project.manage("check").stderr
    assert said.count("tenure.W005") == 6
    assert "TokenObtainPairView" in said
    assert "tenure.W004" not in said
