"""`manage.py restored`: mend a database that was restored from an older dump under a living broker."""

from typing import Any

import dramatiq
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...brokers.contract import EventBroker
from ...repair.restored import JUMP, Restored, RestoreRefusedError, restored
from ...worker.models import Process
from ..terminal import confirm, progress_bar

#: What no queue and no dump can tell.
UNKNOWN = (
    "What cannot be known: events that were emitted after the dump and had left every queue. They are gone, as the "
    "changes that they reported and the effects that they had in this database are. What subscribers did elsewhere "
    "(mail, HTTP) stays done, and is done again if its event is delivered again. Pages and programs that remember what "
    "is gone find nothing there."
)


class Command(BaseCommand):
    help = (
        "After an older dump of the database was restored while the broker went on: moves the numbers of the log past "
        "all that was seen, enters into the log what only the queues still know, and starts the streams of notices "
        "anew, so that no number is given twice and every effect happens once. End the web, relay and workers first; "
        "start them afterwards."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--sequence", type=int, default=0, metavar="N", help="the highest number that is known to have been given"
        )
        parser.add_argument(
            "--jump",
            type=int,
            default=JUMP,
            metavar="N",
            help=f"how far beyond the highest the log goes on; more than were given since the dump (default: {JUMP})",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    def handle(self, *args: Any, sequence: int, jump: int, **options: Any) -> None:
        broker = dramatiq.get_broker()
        if not isinstance(broker, EventBroker):
            raise CommandError(f"{type(broker).__name__} cannot carry events. Run `manage.py check`.")
        if jump < 1 or sequence < 0:
            raise CommandError("--jump must be at least 1, and --sequence at least 0.")
        alive = sorted({f"{one.kind} on {one.host}, process {one.pid}" for one in Process.objects.alive()})
        if alive:
            raise CommandError(f"Still running: {'; '.join(alive)}. End the web, relay and workers, and wait for 15 s.")
        confirm("Was this database restored from a dump that is older than what the broker has seen?", options)
        try:
            with progress_bar("Reading the queues", total=None) as advance:
                found = restored(broker, sequence=sequence, jump=jump, advance=advance)
        except RestoreRefusedError as error:
            raise CommandError(str(error)) from None
        except ConnectionError as error:
            raise CommandError(f"The broker does not answer. Start it, or check the MQ_ settings: {error}") from None
        self._tell(found)

    def _tell(self, found: Restored) -> None:
        last = f"number {found.newest:,}, {found.newest_time:%Y-%m-%d %H:%M:%S} UTC" if found.newest_time else "none"
        self.stdout.write(f"Last event of the dump: {last}")
        self.stdout.write(f"Messages in the queues: {found.seen:,}, the highest number is {found.highest:,}")
        self.stdout.write(f"Events that only the queues knew, and the log has now: {found.learnt:,}")
        if found.renumbered:
            self.stdout.write(f"{found.renumbered:,} of them under a new number: theirs was given again already")
        if found.refused:
            self.stdout.write(f"Messages that cannot be read, or are not signed by us: {found.refused:,}; they stay")
        self.stdout.write(f"The log goes on after number {found.next_number:,}")
        for sentence in found.sentences:
            self.stdout.write(sentence)
        self.stdout.write(UNKNOWN)
