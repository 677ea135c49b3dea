"""Flags made from the settings, and the deployment that a command works on."""

import datetime
import functools
import os
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import click

from tenure.core.effects import Flow
from tenure.core.errors import StoreUnavailable, TenureError
from tenure.core.issuer import Issuer
from tenure.core.overview import which_sessions
from tenure.driving.drivers import drive
from tenure.server.secret import root_secret
from tenure.server.settings import ENVIRONMENT_PREFIX, Settings, load, seconds
from tenure.stores import open_store
from tenure.stores.protocol import Store

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_IN_FILE_ONLY = ("lifetimes",)
_STORE_SETTINGS = ("store", "migrate", "secret", "secret_fallbacks")


def settings_options(*names: str) -> Callable[[F], F]:
    """A flag for each setting (or only for `names`), and --config. The command gets the loaded `settings`."""

    def decorate(command: F) -> F:
        chosen = names or tuple(name for name in Settings.model_fields if name not in _IN_FILE_ONLY)

        @functools.wraps(command)
        def run(*, config: str | None, **arguments: Any) -> Any:
            flags = {name: arguments.pop(name) for name in chosen}
            given = {name: value for name, value in flags.items() if value is not None}
            with plain_errors():
                return command(settings=load(config, given), **arguments)

        for name in reversed(chosen):
            run = _option(name)(run)
        return click.option("--config", metavar="FILE", help="A TOML file with settings (TENURE_CONFIG).")(run)  # type: ignore[return-value]

    return decorate


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a command works on: the store of a deployment, and what the deployment knows.

    It does no upkeep: rotating keys in the store is up to the running service.
    """

    store: Store
    issuer: Issuer

    def run(self, flow: Flow[T]) -> T:
        """Drive a flow to its result."""
        return drive(flow, self.store)


def deployment_options(*more: str) -> Callable[[F], F]:
    """The flags that a command needs to reach the store (and `more`); the command gets a `Deployment`."""

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def run(*, settings: Settings, **arguments: Any) -> Any:
            with open_deployment(settings) as deployment:
                return command(deployment, **arguments)

        return settings_options(*_STORE_SETTINGS, *more)(run)  # type: ignore[return-value]

    return decorate


@contextmanager
def open_deployment(settings: Settings) -> Iterator[Deployment]:
    """The deployment that `settings` name, for as long as a command runs."""
    issuer = Issuer(
        url=settings.issuer,
        audience=settings.audience,
        policy=settings.policy(),
        secret=root_secret(settings),
        fallbacks=settings.secret_fallbacks,
        algorithm=settings.algorithm,
        claims=None,
        now=time.time,
        random=os.urandom,
    )
    store = open_store(settings.store, migrate=settings.migrate)
    try:
        yield Deployment(store, issuer)
    finally:
        store.close()


@contextmanager
def plain_errors() -> Iterator[None]:
    """Print tenure's own errors as a message, not as a traceback."""
    try:
        yield
    except StoreUnavailable as problem:
        raise click.ClickException(f"{problem} ({problem.detail})" if problem.detail else str(problem)) from None
    except TenureError as problem:
        raise click.ClickException(str(problem)) from None


def _option(name: str) -> Callable[[F], F]:
    field = Settings.model_fields[name]
    flag = f"--{name.replace('_', '-')}"
    text = f"{field.description} [{ENVIRONMENT_PREFIX}{name.upper()}]"
    kind = _without_none(field.annotation)
    if kind is bool:
        return click.option(f"{flag}/--no-{name.replace('_', '-')}", name, default=None, help=text)
    if get_origin(kind) is Literal:
        return click.option(flag, name, type=click.Choice(get_args(kind)), help=text)
    return click.option(flag, name, metavar=_METAVARS.get(kind, "TEXT"), help=text)


_METAVARS: dict[Any, str] = {float: "DURATION", int: "NUMBER", list[str]: "LIST"}


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        return next(kind for kind in get_args(annotation) if kind is not type(None))
    return annotation


class Duration(click.ParamType[float]):
    """A duration: a number of seconds, or a number with a unit, such as 10m or 14d."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The duration in seconds."""
        try:
            return float(str(seconds(value)))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


def which_options(command: F) -> F:
    """The flags that select sessions; the command gets them as `which`."""

    @functools.wraps(command)
    def run(*args: Any, client: str, device: str, before: datetime.datetime | None, **arguments: Any) -> Any:
        moment = None if before is None else before.replace(tzinfo=datetime.UTC).timestamp()
        return command(*args, which=which_sessions(moment, client, device), **arguments)

    options = (
        click.option("--client", default="", metavar="CLIENT_ID", help="Only sessions of this client."),
        click.option("--device", default="", metavar="TEXT", help="Only sessions whose device's name contains this."),
        click.option("--before", type=click.DateTime(), help="Only sessions that began before this moment (UTC)."),
    )
    decorated: Any = run
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]
