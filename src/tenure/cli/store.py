"""The store on the command line: its schema, ended sessions, copies."""

import asyncio
import hashlib
import time
from contextlib import ExitStack, closing
from dataclasses import asdict

import click
from rich.console import Console
from rich.progress import Progress

from tenure.cli.options import Deployment, Duration, deployment_options, plain_errors, settings_options
from tenure.cli.output import json_option, print_done
from tenure.driving.upkeep import purge as purge_flow
from tenure.server.settings import Settings
from tenure.stores import copying, open_store

BATCH = 1000
PAUSE_SECONDS = 0.05


@click.command()
@json_option
@settings_options("store")
def migrate(settings: Settings, as_json: bool) -> None:
    """Create or upgrade the store's tables. (Opening a store does the same, unless that is switched off.)"""
    open_store(settings.store).close()
    print_done("The store's schema is up to date.", {"migrated": True}, as_json=as_json)


@click.command()
@click.option("--keep", type=Duration(), default="1d", show_default=True, help="How long ended sessions are kept.")
@json_option
@deployment_options()
def purge(deployment: Deployment, keep: float, as_json: bool) -> None:
    """Delete ended sessions, in small batches with pauses, so that requests never wait."""
    deleted = 0
    while True:
        batch = deployment.run(purge_flow(deployment.issuer, keep, BATCH))
        deleted += batch
        if batch < BATCH:
            break
        time.sleep(PAUSE_SECONDS)
    print_done(f"{deleted} sessions were deleted.", {"deleted": deleted}, as_json=as_json)


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@json_option
def copy(source: str, target: str, as_json: bool) -> None:
    """Copy everything in the store FROM to the store TO (URLs) and verify it. Everybody stays logged in.

    The service may keep using FROM meanwhile, and an interrupted copy resumes. To finish, stop the service, copy once
    more, and start the service with TO. Both stores use the same secret.
    """
    with plain_errors(), ExitStack() as opened:
        stores = [opened.enter_context(closing(open_store(url))) for url in (source, target)]
        bar = opened.enter_context(Progress(console=Console(stderr=True), disable=as_json))
        tasks = {name: bar.add_task(name, total=1.0) for name in ("copying", "verifying")}
        name = hashlib.sha256(source.encode()).hexdigest()  # the URL may have a password in it

        def watch(task: str, done: float) -> None:
            bar.update(tasks[task], completed=done)

        done = asyncio.run(copying.copy(*stores, name=name, now=time.time(), watch=watch))
    if done.missing:
        raise click.ClickException(f"{done.missing} sessions still differ. Copy once more.")
    print_done(
        f"{done.records} records, {done.sessions} sessions and {done.audit} entries of audit trails were copied, "
        f"{done.verified} sessions verified; "
        f"{done.again} of them had changed meanwhile.",
        asdict(done),
        as_json=as_json,
    )
