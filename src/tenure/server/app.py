"""The application that `tenure serve` runs, built from the settings once in each worker."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware

from tenure.async_sessions import AsyncTenure
from tenure.core.errors import ConfigurationError, TenureError
from tenure.core.events import Event, Hook
from tenure.core.inputs import check_setting
from tenure.core.observations import Observer
from tenure.core.origins import is_loopback, other_sites
from tenure.driving.upkeep import purge
from tenure.http.devices_page import DevicesPage, check_page
from tenure.http.rate_limits import RateLimits
from tenure.http.service import PREFIX, Authenticator, Service
from tenure.integrations.asgi import application
from tenure.integrations.embedded import OTHER_SITE, authenticator_of
from tenure.server import metrics
from tenure.server.accounts import Accounts
from tenure.server.console.channel import VARIABLE, Teller
from tenure.server.demo_page import DemoChannel
from tenure.server.logs import configure
from tenure.server.overload import Shedding
from tenure.server.secret import root_secret
from tenure.server.settings import Settings, load
from tenure.server.webhooks import Webhooks
from tenure.sessions import Tenure
from tenure.stores.protocol import Store

if TYPE_CHECKING:
    from tenure.server.otlp import Otlp

KEEP_ENDED_SECONDS = 86400.0
PURGE_PAUSE_SECONDS = 60.0
PURGE_BATCH = 1000

_log = logging.getLogger("tenure")


def create() -> Starlette:
    """Build the application from the environment's settings, in each worker process."""
    settings = load(None, {})
    configure(settings.log_level, settings.log_format)
    app = build(settings)
    gc.freeze()  # all that exists by now lives as long as the process: a full collection need not walk through it
    return app


def build(settings: Settings) -> Starlette:
    """Build the application. Raises ConfigurationError for settings that make no sense."""
    cookies = settings.cookie_transport()
    demo = demo_channel(settings)
    hooks: list[Hook] = [] if demo is None else [demo.publish]
    webhooks, kind = _webhooks(settings), _otlp(settings)
    otlp = None if kind is None else kind()
    if webhooks is not None:
        hooks.append(webhooks.tell)
    if VARIABLE in os.environ:
        hooks.append(Teller(os.environ[VARIABLE]).tell)
    counted = settings.metrics_port is not None or settings.console_port is not None
    observers: list[Observer] = [metrics.observe] if counted else []
    if otlp is not None:
        observers.append(otlp.telemetry)
    auth = AsyncTenure(**tenure_arguments(settings), on_event=_all(hooks), observers=observers)
    limits = RateLimits(settings.rate_limit_store)
    service = Service(
        auth.issuer,
        _authenticator(settings, auth.store),
        limits,
        cookies,
        login_page=settings.login_page,
        prefix=settings.prefix,
        devices=_devices(settings),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with auth:
            sweeping = asyncio.create_task(_sweep(auth))
            yield
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
            if webhooks is not None:
                await asyncio.to_thread(webhooks.close)
            if otlp is not None:
                await asyncio.to_thread(otlp.close)

    shedding = Middleware(Shedding, prefix=settings.prefix, refused=auth.issuer.refused)
    app = application(auth, service, lifespan=lifespan, root_path=settings.root_path(), middleware=[shedding])
    if otlp is not None:
        otlp.trace(app)
    if demo is not None:
        demo.open_account(Accounts(auth.store))
        demo.join(app, auth)
    return app


def _webhooks(settings: Settings) -> Webhooks | None:
    if settings.webhook_url is None:
        return None
    secret = "" if settings.webhook_secret is None else settings.webhook_secret.get_secret_value()
    return Webhooks(settings.webhook_url, secret, os.urandom)


def _otlp(settings: Settings) -> "type[Otlp] | None":
    if not settings.opentelemetry:
        return None
    try:
        from tenure.server.otlp import Otlp
    except ImportError:
        raise ConfigurationError("opentelemetry needs more packages: pip install 'tenure[opentelemetry]'.") from None
    return Otlp


def _all(hooks: Sequence[Hook]) -> Hook | None:
    """One hook that calls all of them."""
    if not hooks:
        return None

    def tell(event: Event) -> None:
        for hook in hooks:
            hook(event)

    return tell


def check(settings: Settings) -> list[str]:
    """Raise ConfigurationError for anything that keeps the application from working. Returns warnings."""
    cookies = settings.cookie_transport()
    settings.root_path()
    RateLimits(settings.rate_limit_store)
    demo_channel(settings)
    _devices(settings)
    if settings.login_page is not None:
        check_page("login_page", settings.login_page)
    _otlp(settings)
    webhooks = _webhooks(settings)
    if webhooks is not None:
        webhooks.close()
    with Tenure(**tenure_arguments(settings)) as auth:
        _authenticator(settings, auth.store)
    others = [] if cookies is None else other_sites(cookies.origin, cookies.allowed_origins)
    return [OTHER_SITE.format(page=page, api=settings.issuer) for page in others]


def demo_channel(settings: Settings) -> DemoChannel | None:
    """The demo's channel, or None. Raises ConfigurationError if other machines could reach it."""
    if not settings.demo:
        return None
    cookies = settings.cookie_transport()
    if cookies is None or not is_loopback(settings.host) or not is_loopback(urlsplit(settings.issuer).hostname or ""):
        raise ConfigurationError(
            "demo shows what must stay secret: it needs cookies, and a host and an issuer that are this machine."
        )
    if settings.workers != 1 or settings.authenticator is not None or settings.prefix != PREFIX:
        raise ConfigurationError("demo needs one worker, the embedded accounts, and the prefix /auth.")
    return DemoChannel(cookies)


def tenure_arguments(settings: Settings) -> dict[str, Any]:
    """The arguments of a Tenure on the settings' store."""
    return {
        "store": settings.store,
        "migrate": settings.migrate,
        "secret": root_secret(settings),
        "fallbacks": settings.secret_fallbacks,
        "issuer": settings.issuer,
        "audience": settings.audience,
        "algorithm": settings.algorithm,
        "policy": settings.policy(),
    }


def _authenticator(settings: Settings, store: Store) -> Authenticator:
    if settings.authenticator is None:
        return Accounts(store)
    found = _named(settings.authenticator, "authenticator is MODULE:NAME of an Authenticator")
    return authenticator_of(found() if isinstance(found, type) else found)


def _devices(settings: Settings) -> DevicesPage:
    if settings.devices is None:
        return DevicesPage()
    found = _named(settings.devices, "devices is MODULE:NAME of a DevicesPage")
    check_setting("devices", found, DevicesPage, "MODULE:NAME of a DevicesPage")
    return cast(DevicesPage, found)


def _named(path: str, expected: str) -> Any:
    module, _, name = path.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # modules in the current directory
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as problem:
        raise ConfigurationError(f"{expected}: {problem}.") from None


async def _sweep(auth: AsyncTenure) -> None:
    """Delete sessions that ended a day ago, in batches with pauses, so that requests never wait."""
    while True:
        try:
            deleted = await auth.run(purge(auth.issuer, KEEP_ENDED_SECONDS, PURGE_BATCH))
        except TenureError as problem:
            _log.warning("purging will be tried again: %s", problem)
            deleted = 0
        await asyncio.sleep(1.0 if deleted == PURGE_BATCH else PURGE_PAUSE_SECONDS)
