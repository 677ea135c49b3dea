"""A bound session in any framework's example: nobody reads the notes but the owner of its key (RFC 9449)."""

import json
import time
from collections.abc import Callable
from typing import Any

from tests.dpop import Key

URL = "http://127.0.0.1:8000"

Send = Callable[[str, str, dict[str, str]], Any]
"""Sends a request to a path, with headers; a POST has the credentials in its body."""


def only_the_owner_reads_the_notes(send: Send) -> None:
    owner, thief = Key(), Key()

    def logged_in(nonce: str | None) -> Any:
        return send("POST", "/auth/login", {"DPoP": owner.proof("POST", f"{URL}/auth/login", time.time(), nonce=nonce)})

    pair = json.loads(logged_in(logged_in(None).headers["dpop-nonce"]).text)
    assert pair["token_type"] == "DPoP"

    def notes(key: Key, scheme: str = "DPoP") -> int:
        proof = key.proof("GET", f"{URL}/notes", time.time(), access_token=pair["access_token"])
        headers = {"Authorization": f"{scheme} {pair['access_token']}", "DPoP": proof}
        return int(send("GET", "/notes", headers).status_code)

    assert notes(owner) == 200
    assert notes(thief) == 401
    assert notes(owner, "Bearer") == 401
