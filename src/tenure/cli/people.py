"""Accounts, OAuth clients and API keys on the command line."""

import sys
from collections.abc import Sequence
from typing import BinaryIO

import click

from tenure.cli.options import Deployment, deployment_options
from tenure.cli.output import json_option, print_done, print_rows
from tenure.core import existing
from tenure.core.policy import REMEMBERED
from tenure.http import clients as registry
from tenure.server.accounts import Accounts

password_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@click.group()
def users() -> None:
    """The embedded accounts."""


@users.command("add")
@click.argument("name")
@password_option
@json_option
@deployment_options()
def add_user(deployment: Deployment, name: str, password_stdin: bool, as_json: bool) -> None:
    """Make an account."""
    Accounts(deployment.store).add(name, _password(password_stdin))
    print_done(f"{name} can log in.", {"user": name}, as_json=as_json)


@users.command("list")
@json_option
@deployment_options()
def list_users(deployment: Deployment, as_json: bool) -> None:
    """List the accounts."""
    names = Accounts(deployment.store).names()
    print_rows([{"user": name} for name in names], as_json=as_json, columns=["user"])


@users.command("remove")
@click.argument("name")
@json_option
@deployment_options()
def remove_user(deployment: Deployment, name: str, as_json: bool) -> None:
    """Delete an account and end its sessions."""
    if not Accounts(deployment.store).remove(name):
        raise click.ClickException(f"There is no user {name}.")
    ended = _end_all(deployment, name, "account_removed")
    print_done(f"{name} is gone; {ended} sessions were ended.", {"user": name, "ended": ended}, as_json=as_json)


@users.command("passwd")
@click.argument("name")
@password_option
@json_option
@deployment_options()
def change_password(deployment: Deployment, name: str, password_stdin: bool, as_json: bool) -> None:
    """Change a password and end the account's sessions."""
    Accounts(deployment.store).change_password(name, _password(password_stdin))
    ended = _end_all(deployment, name, "password_changed")
    text = f"The password of {name} is changed; {ended} sessions were ended."
    print_done(text, {"user": name, "ended": ended}, as_json=as_json)


def _end_all(deployment: Deployment, subject: str, reason: str) -> int:
    return deployment.run(
        existing.end_all(deployment.issuer, subject, except_id=None, reason=reason, by="command line")
    )


def _password(from_stdin: bool) -> str:
    if not from_stdin:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


@click.group()
def clients() -> None:
    """OAuth clients."""


@clients.command("add")
@click.argument("client_id")
@click.option("--public", is_flag=True, help="The client can't keep a secret, so it gets none.")
@click.option("--scope", help='The most that a session for it may be granted, for example "read write".')
@click.option("--lifetime", default="", help="The lifetime of its sessions: remembered, browser, or one of lifetimes.")
@click.option(
    "--public-key",
    "key_files",
    type=click.File("rb"),
    multiple=True,
    help="A public key of the client, PEM or JWK, for private_key_jwt in place of a secret. May be repeated.",
)
@json_option
@deployment_options()
def add_client(
    deployment: Deployment,
    client_id: str,
    public: bool,
    scope: str | None,
    lifetime: str,
    key_files: Sequence[BinaryIO],
    as_json: bool,
) -> None:
    """Register a client. The secret of a confidential client is printed once."""
    keys = [registry.public_jwk(file.read()) for file in key_files]
    deployment.issuer.lifetime_named(lifetime)
    adding = registry.add_client(
        client_id, deployment.issuer.random, public=public, keys=keys, scope=scope, lifetime=lifetime
    )
    secret = deployment.run(adding)
    fields = {"client_id": client_id} if secret is None else {"client_id": client_id, "client_secret": secret}
    kind = "a public client" if public else "a client with keys of its own"
    print_done(secret or f"{client_id} is registered as {kind}.", fields, as_json=as_json)


@clients.command("list")
@json_option
@deployment_options()
def list_clients(deployment: Deployment, as_json: bool) -> None:
    """List the registered clients."""
    rows = [
        {
            "client_id": client.id,
            "public": client.public,
            "keys": len(client.keys),
            "scope": client.scope,
            "lifetime": client.lifetime or REMEMBERED,
        }
        for client in deployment.run(registry.list_clients())
    ]
    print_rows(rows, as_json=as_json, columns=["client_id", "public", "keys", "scope", "lifetime"])


@clients.command("remove")
@click.argument("client_id")
@json_option
@deployment_options()
def remove_client(deployment: Deployment, client_id: str, as_json: bool) -> None:
    """Remove a client. Its refresh tokens stop working."""
    if not deployment.run(registry.remove_client(client_id)):
        raise click.ClickException(f"There is no client {client_id}.")
    print_done(f"{client_id} is gone.", {"client_id": client_id}, as_json=as_json)


@click.group("api-keys")
def api_keys() -> None:
    """API keys for the admin endpoints."""


@api_keys.command("add")
@click.argument("name")
@json_option
@deployment_options()
def add_api_key(deployment: Deployment, name: str, as_json: bool) -> None:
    """Make an API key and print it once."""
    key = deployment.run(registry.add_api_key(name, deployment.issuer.random))
    print_done(key, {"name": name, "api_key": key}, as_json=as_json)


@api_keys.command("list")
@json_option
@deployment_options()
def list_api_keys(deployment: Deployment, as_json: bool) -> None:
    """List the names of the API keys."""
    names = sorted(deployment.run(registry.list_api_keys()).values())
    print_rows([{"name": name} for name in names], as_json=as_json, columns=["name"])


@api_keys.command("remove")
@click.argument("name")
@json_option
@deployment_options()
def remove_api_key(deployment: Deployment, name: str, as_json: bool) -> None:
    """Remove an API key. It stops working."""
    if not deployment.run(registry.remove_api_key(name)):
        raise click.ClickException(f"There is no API key {name}.")
    print_done(f"{name} is gone.", {"name": name}, as_json=as_json)
