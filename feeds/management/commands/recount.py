"""`manage.py recount`: compare the counts with the votes and comments, and correct those that differ."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from events.management.terminal import progress_bar
from feeds.batch.chunks import StoppedEarlyError
from feeds.batch.position import START, Position, total
from feeds.counts.recount import Drift, recount
from feeds.management.resumable import add_arguments, resumable


class Command(BaseCommand):
    help = "Recounts votes and comments while the site runs, and reports and repairs wrong counts."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only report wrong counts")
        parser.add_argument(
            "--settle",
            action="store_true",
            help="also count actions whose events will never be delivered (suppressed or discarded); "
            "use it only when no other events are waiting",
        )
        add_arguments(parser, place=Position.read, metavar="post/N|comment/N")

    def handle(
        self, *args: Any, dry_run: bool, settle: bool, jobs: int | None, after: Position | None, **options: Any
    ) -> None:
        after = after or START
        with resumable():
            try:
                with progress_bar("Recounting", total=total(after=after)) as advance:
                    drifts = recount(repair=not dry_run, settle=settle, jobs=jobs, after=after, advance=advance)
            except StoppedEarlyError as stop:
                self._report(stop.results)
                raise
        self._report(drifts)
        done = "found" if dry_run else "repaired"
        self.stdout.write(self.style.SUCCESS(f"Wrong counts {done}: {len(drifts)}."))

    def _report(self, drifts: list[Drift]) -> None:
        for drift in drifts:
            self.stdout.write(str(drift))
