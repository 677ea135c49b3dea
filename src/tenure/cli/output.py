"""Printing: tables for people, `--json` for programs."""

import datetime
import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

FILE_WIDTH = 200
"""How wide a table is that no terminal shows, in characters."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def print_rows(rows: Sequence[dict[str, Any]], *, as_json: bool, columns: Sequence[str]) -> None:
    """Print rows as a table with these columns, or as a JSON list. Times are in seconds, UTC; the table shows them as
    dates."""
    if as_json:
        click.echo(json.dumps(list(rows)))
        return
    table = Table()
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")  # nothing is cut off, however narrow the terminal
    for row in rows:
        # Plain text: a device's name must not inject markup or a link.
        table.add_row(*(Text(_shown(column, row.get(column))) for column in columns))
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH).print(table)


def print_fields(fields: dict[str, Any], *, as_json: bool) -> None:
    """Print one thing's fields, a line each, or as a JSON object."""
    if as_json:
        click.echo(json.dumps(fields))
        return
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {_shown(name, value)}")


def print_done(text: str, fields: dict[str, Any], *, as_json: bool) -> None:
    """Say what was done: a sentence, or its fields as JSON."""
    click.echo(json.dumps(fields) if as_json else text)


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (name == "at" or name.endswith(("_at", "_from")))
    ):
        return datetime.datetime.fromtimestamp(value, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
