"""`manage.py replay`: events of the log once more to one subscriber."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...repair.replay import Replayed, ReplayRefusedError, events_for, kept_from, replay
from ..terminal import moment, progress_bar

FILTERS = ("topic", "subject", "since", "until", "from_sequence", "to_sequence")


def rate(text: str) -> int:
    number = text.removesuffix("/s")
    if not number.isdecimal() or not int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of deliveries per second, for example 100/s")
    return int(number)


class Command(BaseCommand):
    help = (
        "Delivers events from the log again, to one subscriber only. Events it never received are added. Dead letters "
        "and discarded deliveries are reopened. Events it has handled run again only if it is declared "
        "replayable=True. Events that are waiting or being retried are left alone. New events are delivered first. "
        "Start with --dry-run. If you stop it with Ctrl+C, it prints how to continue."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subscriber", metavar="SUBSCRIBER", help="for example feeds.index_post")
        which = parser.add_argument_group("filters (an event must match all of them)")
        which.add_argument("--topic", default="", help="only this topic or pattern, such as post.published or vote.*")
        which.add_argument("--subject", default="", help="only this subject, for example post/7")
        which.add_argument(
            "--since",
            type=moment,
            metavar="TIME",
            help="only emitted since then: 2026-11-25T10:30, or 2h for two hours ago",
        )
        which.add_argument("--until", type=moment, metavar="TIME", help="only emitted before then")
        which.add_argument("--from-sequence", type=int, metavar="N", help="start at this number in the log")
        which.add_argument("--to-sequence", type=int, metavar="N", help="end at this number in the log (included)")
        which.add_argument("--everything", action="store_true", help="the whole log, without a filter")
        parser.add_argument("--suppressed", action="store_true", help="also events emitted inside suppressed()")
        parser.add_argument("--rate", type=rate, metavar="N/s", help="maximum number of deliveries per second")
        parser.add_argument("--dry-run", action="store_true", help="only print how many")

    def handle(self, *args: Any, subscriber: str, dry_run: bool, **options: Any) -> None:
        filters = {name: options[name] for name in FILTERS}
        if not any(filters.values()) and not options["everything"]:
            raise CommandError(
                "Choose events: give a filter such as --topic or --since, or --everything for the whole log."
            )
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
                f"Stopped. To continue, run the same command with --from-sequence {last.upto + 1}", returncode=130
            ) from None
        if floor := kept_from(subscriber, topic=options["topic"]):
            self.stdout.write(
                f"Earlier events were pruned: {floor.topic} reaches back to number {floor.sequence}, "
                f"{floor.time:%Y-%m-%d %H:%M:%S} UTC."
            )
        if done.skipped and not done.count and not done.owed:
            raise CommandError(
                f"{subscriber} has done all {done.skipped:,} events, and running them again may not be safe. If it "
                "is, declare the subscriber with replayable=True, deploy, and replay again."
            )
        self._tell(done, dry_run)

    def _tell(self, done: Replayed, dry_run: bool) -> None:
        would = "would be " if dry_run else ""
        parts = [
            (done.added, f"{would}added (never delivered before)"),
            (done.reopened, f"{would}reopened (dead letters or discarded)"),
            (done.again, f"{would}run again (done before)"),
            (done.owed, "left alone (waiting, on their way or being retried)"),
            (done.skipped, "skipped (done before, and the subscriber is not replayable=True)"),
        ]
        for number, what in parts:
            if number:
                self.stdout.write(f"{number:>12,} {what}")
        if not done.seen:
            self.stdout.write("No events match.")
