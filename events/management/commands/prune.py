"""`manage.py prune`: delete events whose keep time is over."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...keep import keep_times
from ...repair.holders import KINDS, SEEN_WITHIN
from ...repair.leftovers import Leftovers, clear_leftovers
from ...repair.models import Subscription
from ...repair.prune import PrunedTopic, PruneRefusedError, prune
from ...subscription import subscriptions
from ..terminal import Table, progress_bar, show


def rate(text: str) -> int:
    number = text.removesuffix("/s")
    if not number.isdecimal() or not int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of events per second, for example 1000/s")
    return int(number)


class Command(BaseCommand):
    help = (
        "Deletes events whose keep time is over (EVENTS_KEEP), with their deliveries, and what else is not needed any "
        "more: failed attempts of what succeeded (EVENTS_KEEP_ATTEMPTS), dead letters past their own keep time "
        "(EVENTS_KEEP_DEAD_LETTERS). An event stays while a subscription has no final outcome for it, while it is a "
        "dead letter, and while it is sent again; the command says what holds up what. The active relay does a part of "
        "this every hour. It runs beside everything else; you may stop it at any time, and run it again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only print how much would go, and what is held up")
        parser.add_argument("--rate", type=rate, metavar="N/s", help="maximum number of events per second")

    def handle(self, *args: Any, dry_run: bool, rate: int | None, **options: Any) -> None:
        try:
            with progress_bar("Counting" if dry_run else "Pruning", total=None) as advance:
                found = prune(rate=rate, dry_run=dry_run, advance=advance)
            left = clear_leftovers(dry_run=dry_run)
        except (PruneRefusedError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped. Run it again to continue.", returncode=130) from None
        if not keep_times():
            self.stdout.write(
                "EVENTS_KEEP is not set: events are kept for ever. For example EVENTS_KEEP='*=365d, vote.*=30d' keeps "
                "votes for 30 days and all else for a year."
            )
        self._tell(found, dry_run)
        self._tell_held(found)
        self._tell_left(left, dry_run)

    def _tell(self, found: list[PrunedTopic], dry_run: bool) -> None:
        if not found:
            if getattr(settings, "EVENTS_KEEP", None):
                self.stdout.write("No event is older than its keep time.")
            return
        table = Table("topic", "kept for", "would go" if dry_run else "gone", "held up")
        for one in found:
            held = max((held.count for held in one.held.values()), default=0)
            table.add_row(
                one.topic, _written(one.keep), f"{one.gone:,}", f"{held:,}{' or more' if one.stopped and held else ''}"
            )
        show(self.stdout, table)

    def _tell_held(self, found: list[PrunedTopic]) -> None:
        if not any(one.held for one in found):
            return
        known = {row.name: row for row in Subscription.objects.all()}
        table = Table("held up by", "topic", "events", "first number", "what to do")
        for one in found:
            for held in sorted(one.held.values(), key=lambda held: held.holder):
                cure = KINDS.get(held.holder) or _cure(known[held.holder])
                table.add_row(held.holder, one.topic, f"{held.count:,}", str(held.first), cure)
        show(self.stdout, table)

    def _tell_left(self, left: Leftovers, dry_run: bool) -> None:
        would = "would be " if dry_run else ""
        for number, what in (
            (left.attempts, f"failed attempts of what succeeded {would}deleted"),
            (left.dead_letters, f"dead letters {would}discarded"),
            (left.without_event, f"deliveries of other publishers' events {would}deleted"),
        ):
            if number:
                self.stdout.write(f"{number:>12,} {what}")


def _cure(holder: Subscription) -> str:
    """What to do about a subscription that holds events up."""
    if holder.paused_at is not None:
        return f"paused since {holder.paused_at:%Y-%m-%d} by {holder.paused_by}: manage.py subscriptions resume"
    if holder.name in subscriptions:
        return "it is behind: look at its queue and its errors"
    return (
        f"not in this code; it holds up until {holder.seen_at + SEEN_WITHIN:%Y-%m-%d}, or until"
        " manage.py topology unbind --delete-queue"
    )


def _written(keep: dt.timedelta) -> str:
    hours = int(keep / dt.timedelta(hours=1))
    return f"{hours // 24} days" if hours % 24 == 0 else f"{hours} hours"
