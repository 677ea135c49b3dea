"""Logging of the service, to standard error: a line for each record, or a JSON object, events with their fields."""

import logging
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

Format = Literal["text", "json"]


class EventFormatter(logging.Formatter):
    """Appends an event's fields to its name. No event contains a secret."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        event: dict[str, object] = getattr(record, "event", {})
        fields = "".join(f" {name}={value}" for name, value in event.items() if name not in ("kind", "at"))
        return super().format(record) + fields


def configure(level: str, form: Format = "text") -> None:
    """Configure logging from `level` up, for this process."""
    handler = logging.StreamHandler()
    if form == "json":
        renamed = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter("%(asctime)s%(levelname)s%(name)s%(message)s", rename_fields=renamed))
    else:
        handler.setFormatter(EventFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("tenure")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
