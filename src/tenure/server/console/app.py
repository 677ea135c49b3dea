"""The console as an application of its own, served by a thread beside the workers."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tenure.async_sessions import AsyncTenure
from tenure.core.errors import ConfigurationError, TenureError
from tenure.core.overview import STEPS_AT_A_GLANCE, overview
from tenure.http.rate_limits import RateLimits
from tenure.http.service import Service
from tenure.integrations.asgi import request_of, routes_of
from tenure.server.accounts import Accounts
from tenure.server.console.channel import Channel
from tenure.server.console.history import Day, Observed
from tenure.server.console.operators import Operators
from tenure.server.console.views import Console

_SAMPLE_SECONDS = 5.0
_SURVEY_SECONDS = 30.0

_log = logging.getLogger("tenure")


def console_app(
    arguments: dict[str, Any],
    channel: Channel,
    registry: CollectorRegistry,
    *,
    origin: str,
    header: str | None,
    read_only: bool,
) -> Starlette:
    """The console of a service. arguments: those of its Tenure. Raises ConfigurationError."""
    if str(arguments["store"]).startswith("memory:"):
        raise ConfigurationError("The console needs a store that it can share with the workers, not memory://.")
    auth = AsyncTenure(**arguments, on_event=channel.hear)
    operators = Operators(origin, header, auth.issuer.now)
    console = Console(operators, channel, Day(), Observed(registry), read_only=read_only)
    service = Service(auth.issuer, Accounts(auth.store), RateLimits(), None)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with auth:
            tasks = [asyncio.create_task(channel.listen()), asyncio.create_task(_observe(auth, console))]
            yield
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def events(request: Request) -> Response:
        asked = request_of(request.scope)

        async def may() -> bool:
            try:
                operators.check(asked)
                await auth.run(operators.who(asked))
            except TenureError:
                return False
            return True

        if not await may():
            return Response(status_code=401)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(_stream(channel, may), media_type="text/event-stream", headers=headers)

    return Starlette(routes=[Route("/events", events), *routes_of(auth, service, console.table())], lifespan=lifespan)


async def _observe(auth: AsyncTenure, console: Console) -> None:
    """Keep what the charts are drawn of."""
    next_survey = 0.0
    while True:
        now = auth.issuer.now()
        console.observed.sample(now)
        if now >= next_survey:
            try:
                found = await auth.run(overview(auth.issuer, since=now, steps=STEPS_AT_A_GLANCE))
                await auth.run(console.day.count(auth.issuer))
                console.observed.live(now, found.live)
                next_survey = now + _SURVEY_SECONDS
            except TenureError as problem:
                _log.warning("the console could not look at the store: %s", problem)
        await asyncio.sleep(_SAMPLE_SECONDS)


async def _stream(channel: Channel, may: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    async for event in channel.follow():
        if event is not None:
            said = {name: value for name, value in asdict(event).items() if value is not None}
            yield f"data: {json.dumps(said)}\n\n"
        elif await may():
            yield ": still here\n\n"
        else:
            return


def serve_console(app: Starlette, host: str, port: int) -> None:
    """Serve the console from a thread, for as long as this process lives. Raises ConfigurationError."""
    config = uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, server_header=False)
    try:
        listening = config.bind_socket()
    except SystemExit:
        raise ConfigurationError(f"console_port {port} on {host} can't be listened on.") from None
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="tenure-console", daemon=True).start()
