"""`manage.py tenure_purge`: delete sessions that ended some time ago, in small batches."""

import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tenure.core.calls import DeleteRecord, ListRecords
from tenure.driving.upkeep import purge
from tenure.integrations.django.conf import tenure

BATCH, PAUSE_SECONDS = 1000, 0.05


class Command(BaseCommand):
    """The command."""

    help = "Delete ended sessions, in small batches with pauses, so that requests never wait."

    def add_arguments(self, parser: CommandParser) -> None:
        """--keep"""
        parser.add_argument("--keep", type=float, default=1.0, help="For how many days ended sessions are kept (1).")

    def handle(self, *_: Any, **options: Any) -> None:
        """Purge until nothing is left."""
        deleted = 0
        while True:
            batch = tenure().run(purge(tenure().issuer, options["keep"] * 86400, BATCH))
            deleted += batch
            if batch < BATCH:
                break
            time.sleep(PAUSE_SECONDS)
        self._forget_exchanges()
        self.stdout.write(f"{deleted} sessions were deleted.")

    def _forget_exchanges(self) -> None:
        """Delete records of exchanged simplejwt tokens that have expired."""
        store = tenure().store
        for name, body in store.run(ListRecords("simplejwt")):
            if json.loads(body)["expires_at"] < time.time():
                store.run(DeleteRecord("simplejwt", name))
