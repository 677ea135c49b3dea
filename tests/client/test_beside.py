"""The client's page, word for word: each of its functions against a real server of its kind, over an expiry."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import websockets
import websockets.sync.server

from tenure import InvalidAccessToken
from tenure.client import Session
from tests.client.live import PASSWORD, Live

PAGE = Path(__file__).parent.parent.parent / "docs" / "client.md"


def functions(heading: str) -> dict[str, Any]:
    """What the snippet under a heading defines."""
    section = re.split(r"^#+ ", PAGE.read_text().split(f"\n### {heading}\n")[1], maxsplit=1, flags=re.M)[0]
    found = re.search(r"^```python\n(.*?)^```", section, re.M | re.S)
    assert found is not None
    defined: dict[str, Any] = {}
    exec(found[1], defined)
    return defined


@pytest.fixture
def session(live: Live) -> Session:
    made = Session(live.base)
    made.login("ada", PASSWORD)
    return made


@pytest.fixture
def verified(live: Live) -> Callable[[str], str | None]:
    """Whose token it is, asked from other threads."""

    def verify(header: str) -> str | None:
        try:
            return str(live.run(live.auth.verify(header.removeprefix("Bearer "))).subject)
        except InvalidAccessToken:
            return None

    return verify


def test_urllib3(live: Live, session: Session) -> None:
    request = functions("urllib3")["request"]
    for _ in range(2):
        assert request(session, "GET", f"{live.url}/api/me").json()["sub"] == "ada"
        live.expire()
    assert live.refreshes == 1


def test_aiohttp(live: Live, session: Session) -> None:
    who = functions("aiohttp")["who"]
    for _ in range(2):
        assert asyncio.run(who(session, f"{live.url}/api/me"))["sub"] == "ada"
        live.expire()
    assert live.refreshes == 1


@pytest.fixture
def socket_url(verified: Callable[[str], str | None]) -> Iterator[str]:
    """A WebSocket server: says who one is, and closes with 4401 after two messages or where the token is not good."""

    def serve(connection: Any) -> None:
        subject = verified(connection.request.headers.get("Authorization", ""))
        if subject is not None:
            connection.send(subject)
            connection.send(subject)
        connection.close(4401)

    with websockets.sync.server.serve(serve, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def test_websockets(session: Session, socket_url: str) -> None:
    async def five() -> list[str]:
        heard: list[str] = []
        stream = functions("WebSockets")["messages"](session, socket_url)
        async for message in stream:
            heard.append(message)
            if len(heard) == 5:
                break
        await stream.aclose()
        return heard

    assert asyncio.run(five()) == ["ada"] * 5


def test_grpc(live: Live, session: Session, verified: Callable[[str], str | None]) -> None:
    def who(request: bytes, context: Any) -> bytes:
        subject = verified(dict(context.invocation_metadata()).get("authorization", ""))
        if subject is None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid token")
        return str(subject).encode()

    server = grpc.server(ThreadPoolExecutor(2))
    handler = grpc.method_handlers_generic_handler("notes.Notes", {"Who": grpc.unary_unary_rpc_method_handler(who)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    server.start()
    credentials = functions("gRPC")["credentials"](session, grpc.local_channel_credentials())
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        call = channel.unary_unary("/notes.Notes/Who")
        assert call(b"", timeout=10) == b"ada"
        session.refresh()
        assert call(b"", timeout=10) == b"ada"
    server.stop(None).wait()
    assert live.refreshes == 1


def test_server_sent_events(live: Live, session: Session) -> None:
    heard = []
    stream = functions("Server-sent events")["events"](session, f"{live.url}/api/events")
    for data in stream:
        heard.append(data)
        if len(heard) == 3:
            live.expire()
        if len(heard) == 5:
            break
    stream.close()
    assert heard == ["1", "2", "3", "4", "5"]
    assert live.refreshes == 1
