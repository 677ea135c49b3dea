"""Sessions on the command line, their audit trail, and the contents of a token."""

import base64
import json
import sys
from dataclasses import asdict
from functools import partial
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, TaskID

from tenure.cli.options import Deployment, Duration, deployment_options, which_options
from tenure.cli.output import json_option, print_done, print_fields, print_rows
from tenure.core import existing, overview
from tenure.core.binding import bound_to
from tenure.core.calls import Get, ListAudit
from tenure.core.effects import Flow, call
from tenure.core.errors import ForgedToken, InvalidAccessToken
from tenure.core.family import Verdict, judge
from tenure.core.policy import REMEMBERED
from tenure.core.session import Which
from tenure.core.tokens import PREFIX, unseal
from tenure.driving.upkeep import load_ring
from tenure.http.sessions import described


@click.group()
def sessions() -> None:
    """Sessions: who is logged in where."""


@sessions.command("list")
@click.option("--subject", help="List this subject's sessions, oldest first. By default, all, latest login first.")
@which_options
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many.")
@click.option("--cursor", default="", help="Where the page begins: the cursor that the page before has printed.")
@json_option
@deployment_options()
def list_sessions(
    deployment: Deployment, which: Which, subject: str | None, limit: int, cursor: str, as_json: bool
) -> None:
    """List live sessions, in pages."""
    columns = ["id", "device", "client_id", "lifetime", "bound", "created_at", "last_used_at", "expires_at"]
    if subject is None:
        page = deployment.run(overview.latest(deployment.issuer, which, cursor=cursor, limit=limit))
        rows = [{**described(session), "subject": session.subject} for session in page.sessions]
        columns.insert(1, "subject")
    else:
        live = deployment.run(existing.list_live(deployment.issuer, subject))
        page = overview.page_of_subject([one for one in live if which.includes(one)], cursor, limit)
        rows = [described(session) for session in page.sessions]
    print_rows(rows, as_json=as_json, columns=columns)
    if page.cursor:
        click.echo(f"There are more: --cursor {page.cursor}", err=True)


@sessions.command("overview")
@click.option("--since", type=Duration(), default="1d", show_default=True, help="How far back to look.")
@click.option("--exact", is_flag=True, help="Look at all sessions, however many.")
@json_option
@deployment_options()
def show_overview(deployment: Deployment, since: float, exact: bool, as_json: bool) -> None:
    """Print how many sessions there are, and what happened lately."""
    issuer, steps = deployment.issuer, None if exact else overview.STEPS_AT_A_GLANCE
    found = deployment.run(overview.overview(issuer, since=issuer.now() - since, steps=steps))
    print_fields({**asdict(found), "thefts": found.thefts}, as_json=as_json)


@sessions.command("revoke")
@click.argument("session_id", required=False)
@click.option("--subject", help="End all sessions of this subject.")
@click.option("--all", "everybody", is_flag=True, help="End everybody's sessions.")
@which_options
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@json_option
@deployment_options()
def revoke_sessions(
    deployment: Deployment,
    which: Which,
    session_id: str | None,
    subject: str | None,
    everybody: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """End one session, or all sessions of a subject. After an incident, end those of a client, of a device, those that
    began before a moment, or all. Takes effect at once, for access tokens as well."""
    if [session_id is not None, subject is not None, everybody or which != Which()].count(True) != 1:
        raise click.UsageError("Name a session or a --subject, or select by --client, --device, --before or --all.")
    if session_id is None and subject is None:
        _revoke_many(deployment, which, yes=yes, as_json=as_json)
        return
    how = {"reason": "ended_by_admin", "by": "command line"}
    if subject is not None:
        ended = deployment.run(existing.end_all(deployment.issuer, subject, except_id=None, **how))
    else:
        ended = int(deployment.run(existing.end_session(deployment.issuer, session_id or "", **how)))
    if session_id is not None and not ended:
        raise click.ClickException(f"There is no live session {session_id}.")
    print_done(f"{ended} sessions were ended.", {"ended": ended}, as_json=as_json)


def _revoke_many(deployment: Deployment, which: Which, *, yes: bool, as_json: bool) -> None:
    with Progress(console=Console(stderr=True), disable=as_json) as bar:
        task = bar.add_task("counting", total=1.0)
        report = partial(_show_progress, bar, task)
        live = deployment.run(overview.count_where(deployment.issuer, which, report))
    if not yes:
        click.confirm(f"{live} live sessions would be ended. Go on?", abort=True, err=True)
    made = deployment.run(overview.cut_off(deployment.issuer, which, "command line"))
    with Progress(console=Console(stderr=True), disable=as_json) as bar:
        task = bar.add_task("ending", total=1.0)
        report = partial(_show_progress, bar, task)
        ended, _ = deployment.run(overview.sweep(deployment.issuer, made, report))
    print_done(f"{ended} sessions were ended.", {"ended": ended}, as_json=as_json)


def _show_progress(bar: Progress, task: TaskID, done: float) -> None:
    bar.update(task, completed=done)


@click.command()
@click.option("--subject", required=True, help="Whose trail.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many entries.")
@json_option
@deployment_options()
def events(deployment: Deployment, subject: str, limit: int, as_json: bool) -> None:
    """Print the audit trail of a subject, the latest entry first: who logged in from where, how sessions ended."""
    entries = deployment.store.run(ListAudit(subject, deployment.issuer.now(), limit))
    rows = [asdict(entry) for entry in entries]
    columns = ["at", "kind", "reason", "by", "address", "device", "session_id"]
    print_rows(rows, as_json=as_json, columns=columns)


@click.command()
@click.argument("token")
@json_option
@deployment_options("issuer", "audience", "host", "port")
def inspect(deployment: Deployment, token: str, as_json: bool) -> None:
    """Show what a refresh or access token says, and whether it would be accepted. TOKEN may be - for standard input.

    The output can't be used in place of the token.
    """
    text = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105 - a dash is no password
    read = _refresh_token if text.startswith(PREFIX) else _access_token
    print_fields(deployment.run(read(deployment, text)), as_json=as_json)


_MEANING = {
    Verdict.ROTATE: "the child of the head: a refresh with it rotates",
    Verdict.RETRY: "the head itself, within the leeway: a refresh with it is taken for a retry",
    Verdict.ROLLBACK: "newer than the store, with proof of descent: a refresh with it is adopted",
    Verdict.REUSE: "not in line: a refresh with it ends the family (the head itself, unless with its attempt key)",
    Verdict.REFUSE: "newer than the store, without proof: a refresh with it is refused",
}


def _refresh_token(deployment: Deployment, text: str) -> Flow[dict[str, Any]]:
    issuer = deployment.issuer
    try:
        token = unseal(text, issuer.tag_keys)
    except ForgedToken:
        return {"type": "refresh token", "genuine": False, "meaning": "forged, truncated, or of another deployment"}
    fields = {"type": "refresh token", "genuine": True, "session": token.session_id.hex()}
    session = yield from call(Get(token.session_id.hex()))
    if session is None:
        return {**fields, "generation": token.generation, "meaning": "the session is not known to this store"}
    now = issuer.now()
    if session.revoked_at is not None:
        meaning = f"the session was ended ({session.revoked_reason}, by {session.revoked_by})"
    elif not session.is_live(now):
        meaning = "the session has expired"
    else:
        meaning = _MEANING[judge(session.head, token, None, now, issuer.policy.leeway)]
    return {
        **fields,
        "subject": session.subject,
        "client_id": session.client_id,
        "device": session.device,
        "bound": bound_to(session.binding),
        "lifetime": session.lifetime or REMEMBERED,
        "idle_ttl": session.idle_ttl or issuer.policy.idle_ttl,
        "ends_at": session.ends_at,
        "generation": token.generation,
        "head_generation": session.head.generation,
        "last_used_at": session.last_used_at,
        "expires_at": session.expires_at,
        "revoked_at": session.revoked_at,
        "meaning": meaning,
    }


def _access_token(deployment: Deployment, text: str) -> Flow[dict[str, Any]]:
    yield from load_ring(deployment.issuer)
    try:
        header, payload = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in text.split(".")[:2])
    except ValueError:
        return {"type": "unknown", "meaning": "neither a refresh token nor a JWT"}
    try:
        claims = deployment.issuer.checker.check(text)
        session = yield from call(Get(claims.session_id))
        ended = session is None or not session.is_live(deployment.issuer.now())
        meaning = "valid, but its session has ended" if ended else "valid"
    except InvalidAccessToken as problem:
        meaning = str(problem)
    return {"type": "access token", "header": header, "claims": payload, "meaning": meaning}
