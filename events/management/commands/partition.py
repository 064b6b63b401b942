"""`manage.py partition`: partition log and inbox beside the running site, and show the partitions."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from ...repair.partitions import Pair, log_and_inbox
from ..terminal import Table, progress_bar, show
from .prune import rate


class Command(BaseCommand):
    help = (
        "Partitions the log and the inbox by time (EVENTS_PARTITION, by default 30 days each), so that prune drops a "
        "month at once in place of deleting its rows. Then, and where they are partitioned already, it shows the "
        "partitions. It copies both tables beside the running site: until it ends they need their space twice. You may "
        "stop it at any time, and run it again to continue. New installations are partitioned from the start. "
        "PostgreSQL only."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--undo", action="store_true", help="make plain tables of them again; or give up what has begun"
        )
        parser.add_argument("--rate", type=rate, metavar="N/s", help="maximum number of rows per second")

    def handle(self, *args: Any, undo: bool, rate: int | None, **options: Any) -> None:
        both = log_and_inbox()
        if both.connection.vendor != "postgresql":
            raise CommandError("Only PostgreSQL has partitions. Elsewhere prune deletes row by row, and needs none.")
        try:
            self._reshape(both, undo, rate)
            both.add_ahead()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        except DatabaseError as error:
            raise CommandError(f"{str(error).strip()}. What is copied stays copied: run it again.") from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. Run it again to continue.", returncode=130) from None
        self._show(both)

    def _reshape(self, both: Pair, undo: bool, rate: int | None) -> None:
        if both.is_partitioned() != undo and not both.is_begun():
            return
        with progress_bar("Copying", total=both.rows()) as advance:
            both.reshape(partitioned=not undo, rate=rate, advance=advance)

    def _show(self, both: Pair) -> None:
        if not both.is_partitioned():
            self.stdout.write("Log and inbox are plain tables.")
            return
        drawn = Table("partition", "from", "to", "rows, about", "MB")
        for one in both.shown():
            begin, end = (f"{time:%Y-%m-%d}" if time else "" for time in (one.begin, one.end))
            drawn.add_row(one.name, begin or "all else", end, f"{one.rows:,}", f"{one.size / 1e6:,.1f}")
        show(self.stdout, drawn)
