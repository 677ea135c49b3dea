"""The store on the command line: its schema, and what is over."""

import time

import click

from tenure.cli.options import Deployment, deployment_options
from tenure.cli.output import json_option, print_done
from tenure.server.settings import seconds
from tenure.upkeep import purge as purge_flow

BATCH = 1000
PAUSE_SECONDS = 0.05


class Duration(click.ParamType[float]):
    """A number of seconds, or with a unit like 10m or 14d."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The duration in seconds."""
        try:
            return float(str(seconds(value)))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


@click.command()
@json_option
@deployment_options()
def migrate(deployment: Deployment, as_json: bool) -> None:  # noqa: ARG001 - to have the store open is all
    """Make the store's tables, or bring them forward. (Opening a store does so, too, where its role may.)"""
    print_done("The store's schema is up to date.", {"migrated": True}, as_json=as_json)


@click.command()
@click.option("--keep", type=Duration(), default="1d", show_default=True, help="For how long ended sessions are kept.")
@json_option
@deployment_options()
def purge(deployment: Deployment, keep: float, as_json: bool) -> None:
    """Delete sessions that are over, in small batches with pauses, so that traffic never waits for it."""
    deleted = 0
    while True:
        batch = deployment.run(purge_flow(deployment.issuer, keep, BATCH))
        deleted += batch
        if batch < BATCH:
            break
        time.sleep(PAUSE_SECONDS)
    print_done(f"{deleted} sessions were deleted.", {"deleted": deleted}, as_json=as_json)
