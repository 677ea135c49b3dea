"""`tenure loadtest`: how much a deployment carries, before users find out."""

import math
from concurrent.futures import wait
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from tenure.cli.options import Duration, plain_errors
from tenure.cli.output import json_option, print_fields
from tenure.server import load
from tenure.server.workers import processors

OWN_LIMIT = 0.9
BAR_WIDTH = 40


@click.command()
@click.argument("url")
@click.option("--api-key", envvar="TENURE_API_KEY", required=True, help="An API key of the service [TENURE_API_KEY].")
@click.option(
    "--callers", type=click.IntRange(1, 1000), default=64, show_default=True, help="How many refresh at once."
)
@click.option("--duration", type=Duration(), default="10s", show_default=True, help="How long the load lasts.")
@click.option("--prefix", default="/auth", show_default=True, help="The path of the endpoints for users' apps.")
@json_option
def loadtest(url: str, api_key: str, callers: int, duration: float, prefix: str, as_json: bool) -> None:
    """Refresh as fast as the service at URL answers, and print how fast that is.

    Makes its own sessions, and ends them afterwards. Run it from another machine than the service's.
    """
    under_way = load.begin(
        url, api_key, callers=callers, seconds=duration, prefix=prefix, processes=min(callers, processors())
    )
    with plain_errors(), Progress(console=Console(stderr=True), disable=as_json, transient=True) as bar:
        task = bar.add_task("refreshing", total=duration)
        while wait(under_way, timeout=0.1).not_done:
            bar.advance(task, 0.1)
        measured = load.result_of(under_way)
    fields: dict[str, Any] = {"refreshes_per_second": round(measured.rate, 1), "refreshes": len(measured.latencies)}
    for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("longest", 1.0)):
        took = measured.percentile(part)
        fields[f"{name}_ms"] = None if math.isnan(took) else round(took * 1000, 1)
    print_fields({**fields, "errors": dict(measured.errors) or None}, as_json=as_json)
    if as_json:
        return
    _draw(measured)
    if measured.own_share > OWN_LIMIT:
        click.echo(
            "Warning: this machine was busy with asking. Start the load from several machines at once.", err=True
        )


def _draw(measured: load.Measured) -> None:
    lines = measured.histogram()
    most = max((count for _, count in lines), default=1)
    for bound, count in lines:
        label = "longer" if math.isinf(bound) else f"{bound * 1000:g} ms"
        click.echo(f"{label:>9}  {'█' * math.ceil(BAR_WIDTH * count / most):<{BAR_WIDTH}}  {count}")
