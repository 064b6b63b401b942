"""`manage.py reconcile`: heal now what is missing or late."""

import datetime as dt
import time
from argparse import ArgumentTypeError
from typing import Any

import dramatiq
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...brokers.contract import EventBroker
from ...repair.announce import announce
from ...repair.missing import Healed
from ...repair.reconcile import Reconciler
from ..terminal import Table, progress_bar, show

#: Passes in a row without a healed delivery after which nothing counts as lost: the first may only fill the watchlist.
QUIET_PASSES = 3


def seconds(text: str) -> float:
    if not text.replace(".", "", 1).isdigit():
        raise ArgumentTypeError(f"{text!r} is not a number of seconds, for example 5")
    return float(text)


class Command(BaseCommand):
    help = (
        "Sends events again that the broker lost: events that a subscriber should have received, without an outcome "
        "and not in the outbox, although the subscriber's queue is empty or later events are done. The active relay "
        "does this every 30 seconds. Run this command if you do not want to wait, for example after the broker lost "
        "its disk. An event that was only late still takes effect exactly once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only print what would be sent again, including deliveries that are running now",
        )
        parser.add_argument(
            "--patience",
            type=seconds,
            default=5.0,
            metavar="SECONDS",
            help="seconds an event must be missing before it counts as lost (default: 5; the relay waits 60)",
        )

    def handle(self, *args: Any, dry_run: bool, patience: float, **options: Any) -> None:
        broker = dramatiq.get_broker()
        if not isinstance(broker, EventBroker):
            raise CommandError(f"{type(broker).__name__} cannot carry events. Run `manage.py check`.")
        announce()
        reconciler = Reconciler(broker, patience=dt.timedelta(seconds=patience))
        try:
            healed = reconciler.would_heal() if dry_run else self._heal(reconciler, patience)
        except ConnectionError as error:
            raise CommandError(f"The broker does not answer. Start it, or check the MQ_ settings: {error}") from None
        if not healed:
            self.stdout.write(self.style.SUCCESS("No lost events."))
            return
        table = Table("subscriber", "would be healed" if dry_run else "healed", "first event", "last event")
        for one in healed:
            table.add_row(one.subscriber, f"{one.count:,}", str(one.first), str(one.last))
        show(self.stdout, table)

    def _heal(self, reconciler: Reconciler, patience: float) -> list[Healed]:
        """Make passes until QUIET_PASSES in a row heal nothing."""
        healed: list[Healed] = []
        quiet = 0
        with progress_bar("Checking", total=None) as advance:
            while True:
                found = reconciler.run_pass()
                healed += found
                quiet = 0 if found else quiet + 1
                if quiet >= QUIET_PASSES:
                    return healed
                advance(1)
                time.sleep(patience)
