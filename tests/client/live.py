"""A service on a port of this process: real HTTP, a real SQLite file, a clock and faults under the test's control."""

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from tenure import AsyncTenure, Event, InsufficientAuthentication, InvalidAccessToken, Policy, acr, recent
from tenure.client import Credentials, FileStorage
from tenure.client.record import record_of
from tenure.http.cookies import CookieTransport
from tenure.http.rate_limits import RateLimits
from tenure.http.service import Service
from tenure.integrations.asgi import application
from tenure.server.accounts import Accounts
from tests.conftest import SECRET, Clock
from tests.service.conftest import FAST_HASHER

PASSWORD = "correct horse battery"

Asgi = Callable[..., Any]

NPM = Path(__file__).parent.parent / "node" / "node_modules"

# Where a page gets the packages from that examples import by name.
PACKAGES = {
    "axios": "axios/dist/esm/axios.js",
    "ky": "ky/distribution/index.js",
    "@tanstack/query-core": "@tanstack/query-core/build/modern/index.js",
    "@urql/core": "@urql/core/dist/urql-core.mjs",
    "@0no-co/graphql.web": "@0no-co/graphql.web/dist/graphql.web.mjs",
    "wonka": "wonka/dist/wonka.mjs",
}
_FOUND_AT = json.dumps({"imports": {name: f"/control/npm/{path}" for name, path in PACKAGES.items()}})
IMPORTS = f"<script type=importmap>{_FOUND_AT}</script>"
PIXEL = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\0\0\0!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"

# What a dedicated, a shared and a service worker do with the module: they answer what they are asked by name.
WORKER = """
import { createSession } from '/auth/tenure.js'
const session = createSession({ base: '/auth' })
const work = {
  call: async () => (await session.fetch('/api/me')).status,
  user: async () => (await session.restore())?.sub ?? null,
  storage: async () => typeof localStorage,
  logout: async () => session.logout(),
}
const answer = async ({ data, ports, target }) =>
  (ports[0] ?? target).postMessage(await work[data]().catch((error) => error.name))
if (globalThis.registration) addEventListener('message', (event) => event.waitUntil(answer(event)))
else if ('onconnect' in globalThis) onconnect = ({ ports }) => (ports[0].onmessage = answer)
else onmessage = answer
"""

MODULE = Path(__file__).parents[2] / "js" / "tenure.js"


class Lost(Exception):
    """Ends a connection in the middle of an answer."""


async def lose(app: Asgi, scope: Any, receive: Any, send: Any) -> None:
    """The server does all that it has to, and its answer is lost on the way."""

    async def swallow(message: Any) -> None:
        pass

    await app(scope, receive, swallow)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
    raise Lost


def late(seconds: float) -> Asgi:
    """The answer comes, but only after a while."""

    async def fault(app: Asgi, scope: Any, receive: Any, send: Any) -> None:
        messages = []

        async def keep(message: Any) -> None:
            messages.append(message)

        await app(scope, receive, keep)
        await asyncio.sleep(seconds)
        for message in messages:
            await send(message)

    return fault


def instead(status: int, body: bytes = b"<html>oops</html>", **headers: str) -> Asgi:
    """Something before the server answers, and the server hears nothing."""

    async def fault(app: Asgi, scope: Any, receive: Any, send: Any) -> None:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    return fault


def kept(path: Path, base: str) -> Credentials | None:
    """The credentials that a file holds for the endpoints at `base`."""
    return record_of(FileStorage(path).load(f"{base}/refresh")).credentials


class Live:
    """The service. `ada` has an account. `faults` are used up, one a refresh; `counts` are requests by path."""

    def __init__(self, folder: Path, policy: Policy | None = None) -> None:
        self.clock, self.events = Clock(), list[Event]()
        self.faults, self.counts = list[Asgi](), Counter[str]()
        self.deaf = 0  # how many log-outs are not heard of
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.base = f"{self.url}/auth"
        self.auth = AsyncTenure(
            f"sqlite:///{folder}/live.db",
            secret=SECRET,
            issuer=self.url,
            audience="api",
            policy=policy or Policy(leeway=0),
            clock=self.clock,
            on_event=self.events.append,
            poll=3600,
        )
        accounts = Accounts(self.auth.store, FAST_HASHER)
        for name in ("ada", "bob"):
            accounts.add(name, PASSWORD)
        self._app = application(self.auth, Service(self.auth.issuer, accounts, RateLimits(), CookieTransport(self.url)))
        config = uvicorn.Config(
            self._serve, host="127.0.0.1", port=self.port, log_level="critical", lifespan="off", interface="asgi3"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        self._loop = asyncio.get_running_loop()
        path = scope["path"]
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if path.startswith("/control/"):
            await self._control(path.removeprefix("/control/"), receive, send)
            return
        self.counts[path] += 1
        if path.startswith("/api"):
            await self._api(scope, receive, send)
        elif path in ("/auth/refresh", "/oauth/token") and self.faults:
            await self.faults.pop(0)(self._app, scope, receive, send)
        elif path == "/auth/logout" and self.deaf:
            self.deaf -= 1
            await instead(503)(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _control(self, command: str, receive: Any, send: Any) -> None:
        """For tests in Node.js: pages to load, and what others do by calling methods."""
        name, _, argument = command.partition("/")
        content, content_type = b"{}", "application/json"
        match name:
            case "page":
                module = "globalThis.module = await import('/auth/tenure.js')"
                page = f"<!doctype html>{IMPORTS}<body><script type=module>{module}</script>"
                content, content_type = page.encode(), "text/html"
            case "npm":
                content, content_type = (NPM / argument).read_bytes(), "text/javascript"
            case "worker.js":
                content, content_type = WORKER.encode(), "text/javascript"
            case "bundled.js":  # as a bundler makes a classic script of the worker
                module = MODULE.read_text().replace("export ", "")
                content, content_type = (
                    (module + WORKER.partition("\n")[2].partition("\n")[2]).encode(),
                    "text/javascript",
                )
            case "deaf":
                self.deaf = int(argument)
            case "expire":
                self.expire()
            case "fault":
                self.faults.append({"lose": lose, "late": late(0.5), "503": instead(503), "hang": late(60)}[argument])
            case "counts":
                content = json.dumps(self.counts).encode()
            case "kinds":
                content = json.dumps(self.kinds()).encode()
            case "bindings":
                sessions = await self.auth.sessions("ada")
                content = json.dumps([(one.binding or "").partition(":")[0] for one in sessions]).encode()
            case "revoke":
                await self.auth.revoke_all("ada")
        await instead(200, content, content_type=content_type)(None, None, receive, send)

    async def _socket(self, scope: Any, receive: Any, send: Any) -> None:
        """A WebSocket that says whose token it is, and is closed with 4401 when that has expired."""
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "bearer"})
        try:
            while True:
                claims = await self.auth.verify(scope["subprotocols"][1])
                await send({"type": "websocket.send", "text": claims.subject})
                if (await receive())["type"] == "websocket.disconnect":
                    return
        except InvalidAccessToken:
            await send({"type": "websocket.close", "code": 4401})

    async def _api(self, scope: Any, receive: Any, send: Any) -> None:
        """A protected resource that answers who called, and how many bytes came."""
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        token = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        headers = [(b"content-type", b"application/json")]
        if scope["path"] == "/api/cors":  # is of another origin, and does not say that its challenge may be read
            headers.append((b"access-control-allow-origin", b"*"))
            headers.append((b"access-control-allow-headers", b"authorization"))
        if scope["method"] == "OPTIONS":
            status, content = 200, {}
        elif scope["path"] == "/api/elsewhere":
            headers.append((b"location", f"http://localhost:{self.port}/api/seen".encode()))
            status, content = 302, {}
        elif scope["path"] == "/api/seen":
            status, content = 200, {"authorization": token}
        else:
            try:
                if scope["path"] == "/api/refuses":
                    raise InvalidAccessToken("Every token is refused here.")
                asked = dict(scope["headers"])
                scheme, _, token = asked.get(b"authorization", b"").decode().partition(" ")
                proof = asked.get(b"dpop", b"").decode() if scheme == "DPoP" else None
                url = self.url + scope["path"]
                needs = {"/api/sensitive": recent(minutes=5), "/api/strong": acr("phr")}.get(scope["path"])
                claims = await self.auth.verify(token, proof=proof, method=scope["method"], url=url, needs=needs)
                if scope["path"] == "/api/events":
                    await self._tell_events(scope, send)
                    return
                if scope["path"] == "/api/image":
                    await instead(200, PIXEL, content_type="image/gif")(None, None, None, send)
                    return
                status, content = 200, {"sub": claims.subject, "sid": claims.session_id, "bytes": size}
                content["data"] = {"me": {"sub": claims.subject}}  # as GraphQL has it
            except InsufficientAuthentication as refused:
                status, content = 401, {"error": str(refused)}
                headers.append((b"www-authenticate", refused.challenge().encode()))
            except InvalidAccessToken as refused:
                status, content = 401, {"error": str(refused)}
                headers.append((b"www-authenticate", b'Bearer error="invalid_token"'))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(content).encode()})

    async def _tell_events(self, scope: Any, send: Any) -> None:
        """Three events after the last one that was heard; then the stream ends."""
        heard = int(dict(scope["headers"]).get(b"last-event-id", b"0"))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        text = "".join(f"id: {number}\ndata: {number}\n\n" for number in range(heard + 1, heard + 4))
        await send({"type": "http.response.body", "body": text.encode()})

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine in the service's own loop, and wait for it."""
        httpx2.get(f"{self.url}/healthz")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    @property
    def refreshes(self) -> int:
        return self.counts["/auth/refresh"]

    def expire(self) -> None:
        """Let every access token expire."""
        self.clock.advance(601)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def close(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self.auth.store.close()
