"""`manage.py replay`: events of the log once more to one subscriber."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...repair.replay import Replayed, ReplayRefusedError, events_for, replay
from ..terminal import moment, progress_bar

FILTERS = ("topic", "subject", "since", "until", "from_sequence", "to_sequence")


def rate(text: str) -> int:
    number = text.removesuffix("/s")
    if not number.isdecimal() or not int(number):
        raise argparse.ArgumentTypeError(f"{text!r}: deliveries a second, for example 100/s")
    return int(number)


class Command(BaseCommand):
    help = (
        "Delivers events of the log to one subscriber alone; the others notice nothing. What it never had is added, "
        "what was dead or discarded is reopened, what it has done runs again if it is declared replayable=True; what "
        "is still waiting or being retried is left alone. Fresh events go first. Begin with --dry-run. Ctrl-C stops "
        "it and says how to go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subscriber", metavar="SUBSCRIBER", help="for example feeds.index_post")
        which = parser.add_argument_group("which events (all of these must fit)")
        which.add_argument("--topic", default="", help="a topic or pattern, for example post.published or vote.*")
        which.add_argument("--subject", default="", help="what they are about, for example post/7")
        which.add_argument("--since", type=moment, metavar="TIME", help="emitted since: 2026-11-25T10:30, or 2h ago")
        which.add_argument("--until", type=moment, metavar="TIME", help="emitted before")
        which.add_argument("--from-sequence", type=int, metavar="N", help="from this number in the log on")
        which.add_argument("--to-sequence", type=int, metavar="N", help="up to this number in the log, included")
        which.add_argument("--everything", action="store_true", help="the whole log, with no filter")
        parser.add_argument("--suppressed", action="store_true", help="those, too, that were emitted suppressed")
        parser.add_argument("--rate", type=rate, metavar="N/s", help="at most so many deliveries a second")
        parser.add_argument("--dry-run", action="store_true", help="only count")

    def handle(self, *args: Any, subscriber: str, dry_run: bool, **options: Any) -> None:
        filters = {name: options[name] for name in FILTERS}
        if not any(filters.values()) and not options["everything"]:
            raise CommandError("Which events? Give --topic, --subject, --since …, or --everything for the whole log.")
        last = Replayed()
        try:
            events = events_for(subscriber, **filters, suppressed=options["suppressed"])
            with progress_bar("Counting" if dry_run else "Replaying", total=events.count()) as advance:

                def tell(done: Replayed) -> None:
                    nonlocal last
                    advance(done.seen - last.seen)
                    last = Replayed(**vars(done))

                done = replay(subscriber, events, rate=options["rate"], dry_run=dry_run, advance=tell)
        except ReplayRefusedError as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            self._tell(last, dry_run)
            raise CommandError(
                f"Stopped. To go on: the same command with --from-sequence {last.upto + 1}", returncode=130
            ) from None
        if done.skipped and not done.count and not done.owed:
            raise CommandError(
                f"{subscriber} has done all {done.skipped:,} events, and running it again might do harm. If it does "
                "not, declare it with replayable=True, deploy, and replay then."
            )
        self._tell(done, dry_run)

    def _tell(self, done: Replayed, dry_run: bool) -> None:
        would = "would be " if dry_run else ""
        parts = [
            (done.added, f"{would}added (never delivered to it)"),
            (done.reopened, f"{would}reopened (dead or discarded before)"),
            (done.again, f"{would}run again (done before)"),
            (done.owed, "left alone: still waiting, on their way or being retried"),
            (done.skipped, "skipped: done before, and the subscriber is not replayable=True"),
        ]
        for number, what in parts:
            if number:
                self.stdout.write(f"{number:>12,} {what}")
        if not done.seen:
            self.stdout.write("No event fits.")
