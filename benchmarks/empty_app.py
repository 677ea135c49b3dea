"""An empty ASGI application: answers every request with a body of the size that BENCH_BYTES says."""

import os

BODY = b"x" * int(os.environ.get("BENCH_BYTES", "0"))
HEADERS = [(b"content-length", str(len(BODY)).encode()), (b"content-type", b"application/json")]


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})
