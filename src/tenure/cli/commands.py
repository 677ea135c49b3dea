"""The groups of commands, and those that run a server."""

import os

import click
import uvicorn

import tenure as package
from tenure.cli import keys, loadtest, people, store, tokens
from tenure.cli.options import plain_errors, settings_options
from tenure.server import demo as story
from tenure.server import workers
from tenure.server.app import check, tenure_arguments
from tenure.server.console.channel import VARIABLE, Channel
from tenure.server.metrics import registry_of, serve_metrics
from tenure.server.settings import Settings, to_environment


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package.__version__, prog_name="tenure")
def tenure() -> None:
    """Keep people logged in, securely."""


@tenure.command()
@settings_options()
def serve(settings: Settings) -> None:
    """Run the service. Every setting is a flag, a variable TENURE_… or a line of a TOML file (--config)."""
    for warning in check(settings):  # report a wrong setting here, before a worker starts
        click.echo(f"Warning: {warning}", err=True)
    os.environ.update(to_environment(settings))
    _serve_beside(settings)
    if settings.demo:
        click.echo(f"See it happen: {settings.issuer}")
    config = uvicorn.Config(
        "tenure.server.app:create",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        # The demo loses responses on purpose, and its pages keep a connection open.
        log_level="critical" if settings.demo else settings.log_level,
        timeout_graceful_shutdown=1 if settings.demo else None,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
    )
    workers.run(config)


def _serve_beside(settings: Settings) -> None:
    """Serve the metrics and the console, from this process, which sees all workers."""
    if settings.metrics_port is None and settings.console_port is None:
        return
    registry = registry_of(settings.workers)
    if settings.metrics_port is not None:
        serve_metrics(settings.metrics_port, settings.metrics_host, registry)
    if settings.console_port is not None:
        from tenure.server.console.app import (  # no other command waits for its template engine
            console_app,
            serve_console,
        )

        channel = Channel()
        os.environ[VARIABLE] = channel.path  # for the workers
        console = console_app(
            tenure_arguments(settings),
            channel,
            registry,
            origin=settings.console_address(),
            header=settings.console_header,
            read_only=settings.console_read_only,
        )
        serve_console(console, settings.console_host, settings.console_port)
        click.echo(f"The console: {settings.console_address()}")


@tenure.command()
@click.option("--data", metavar="DIRECTORY", help="Keep the data here. A fresh directory each time by default.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on. A free one by default.")
@click.option("--keep", is_flag=True, help="Leave the server running afterwards, for your own curl.")
def demo(data: str | None, port: int | None, keep: bool) -> None:
    """Start the service and play the whole story over real HTTP: expiry, silent refresh, theft, ending a session."""
    with plain_errors():
        story.play(data, port, keep=keep)


for group in (
    people.users,
    people.clients,
    people.api_keys,
    tokens.sessions,
    tokens.events,
    tokens.inspect,
    keys.keys,
    store.migrate,
    store.purge,
    store.copy,
    loadtest.loadtest,
):
    tenure.add_command(group)
