"""Where the time of one refresh over HTTP goes: each layer by itself, and all of them around it, in microseconds.

One after the other in one thread, with the memory store, so that nothing waits and what is added by each layer can be
read off. What the last one adds is the server, the kernel and the caller.
"""

import asyncio
import json
import os
import time
from urllib.parse import urlencode

from benchmarks.report import SETTINGS, report, timed
from tenure import AsyncTenure
from tenure.core.tokens import seal, unseal
from tenure.http import oauth
from tenure.http.clients import add_client
from tenure.http.messages import Request
from tenure.http.rate_limits import RateLimits
from tenure.http.service import Service, answer
from tenure.integrations.asgi import application
from tenure.server.accounts import Accounts

TIMES, RUNS = 2000, 5


async def each(step, runs: int = RUNS) -> float:
    """The median of the microseconds that an awaited step takes."""
    found = []
    for _ in range(runs):
        begun = time.perf_counter()
        for _ in range(TIMES):
            await step()
        found.append((time.perf_counter() - begun) / TIMES * 1e6)
    return sorted(found)[len(found) // 2]


async def measure() -> None:
    async with AsyncTenure("memory://", **SETTINGS) as auth:
        await auth.run(add_client("app", os.urandom, public=True))
        service = Service(auth.issuer, Accounts(auth.store), RateLimits(), None)
        app = application(auth, service)
        latest = (await auth.login("user-42", client_id="app")).refresh_token
        key, now, body = auth.issuer.keys.tag, auth.issuer.now(), b""
        claims = {"sub": "user-42", "iss": SETTINGS["issuer"], "sid": "0" * 32, "exp": 1, "jti": "x" * 32}

        def form() -> bytes:
            return urlencode({"grant_type": "refresh_token", "client_id": "app", "refresh_token": latest}).encode()

        async def refresh() -> None:
            nonlocal latest
            latest = (await auth.refresh(latest, client_id="app")).refresh_token

        async def endpoint() -> None:
            nonlocal latest
            headers = {"content-type": "application/x-www-form-urlencoded"}
            request = Request("POST", "/oauth/token", "", headers, form(), "127.0.0.1", {})
            latest = json.loads((await auth.run(answer(oauth.token, service, request))).body)["refresh_token"]

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": form(), "more_body": False}

        async def send(message) -> None:
            nonlocal body
            body = message.get("body", body)

        scope = {
            "type": "http", "method": "POST", "path": "/oauth/token", "raw_path": b"/oauth/token", "query_string": b"",
            "headers": [(b"content-type", b"application/x-www-form-urlencoded")], "client": ("127.0.0.1", 1),
            "root_path": "", "scheme": "http", "http_version": "1.1", "server": ("127.0.0.1", 80),
        }  # fmt: skip

        async def asgi() -> None:
            nonlocal latest
            await app(dict(scope), receive, send)
            latest = json.loads(body)["refresh_token"]

        tokens = timed(lambda: [seal(unseal(latest, [key]), key) for _ in range(TIMES)], TIMES) * 1e6
        signer = auth.issuer.draft(now).signer
        signature = timed(lambda: [signer.sign(claims) for _ in range(TIMES)], TIMES) * 1e6
        whole, through_endpoint, through_asgi = await each(refresh), await each(endpoint), await each(asgi)
    report("a refresh token read and another sealed, microseconds", value=tokens)
    report("an access token signed (ES256), microseconds", value=signature)
    report("a whole refresh, memory store, microseconds", value=whole, signature_share=signature / whole)
    report("and through the endpoint (form, client, limits, JSON), microseconds", value=through_endpoint)
    report("and through ASGI (Starlette), microseconds", value=through_asgi, signature_share=signature / through_asgi)


def main() -> None:
    asyncio.run(measure())
