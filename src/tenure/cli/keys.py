"""The signing keys on the command line."""

from typing import Any

import click

from tenure.cli.options import Deployment, deployment_options
from tenure.cli.output import json_option, print_done, print_rows
from tenure.driving.upkeep import load_ring, rotate_ring


@click.group()
def keys() -> None:
    """The keys that sign access tokens."""


@keys.command("list")
@json_option
@deployment_options()
def list_keys(deployment: Deployment, as_json: bool) -> None:
    """List the signing keys and what each is used for right now."""
    deployment.run(load_ring(deployment.issuer))
    rows: list[dict[str, Any]] = [
        {
            "kid": key.kid,
            "algorithm": key.algorithm,
            "state": state,
            "created_at": key.created_at,
            "signs_from": key.signs_from,
        }
        for key, state in deployment.issuer.ring.states(deployment.issuer.now())
    ]
    print_rows(rows, as_json=as_json, columns=["kid", "algorithm", "state", "created_at", "signs_from"])


@keys.command("rotate")
@click.option("--at-once", is_flag=True, help="A key has leaked: drop all others now. Clients refresh their tokens.")
@json_option
@deployment_options()
def rotate_keys(deployment: Deployment, at_once: bool, as_json: bool) -> None:
    """Make a new signing key, of the newest one's algorithm. It is published for an hour before it signs."""
    issuer = deployment.issuer
    if not at_once:
        deployment.run(load_ring(issuer))
    made = deployment.run(rotate_ring(issuer, at_once=at_once))
    text = f"{made.kid} signs from now on." if at_once else f"{made.kid} is published, and signs in an hour."
    print_done(text, {"kid": made.kid, "signs_from": made.signs_from}, as_json=as_json)
