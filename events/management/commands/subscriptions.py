"""`manage.py subscriptions`: how far each is behind; pause, resume and the concurrency, while workers run."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...repair.backlog import Backlog, backlogs
from ...repair.controls import ControlRefusedError, pause, resume, set_concurrency
from ...repair.models import Subscription
from ..terminal import Table, printable, show


class Command(BaseCommand):
    help = (
        "Shows each subscription: how far it is behind, and what operators say of it. `pause` stops every worker from "
        "handing out its events within 5 seconds, and holds over restarts: what runs ends, what waits stays in its "
        "queue. `resume` ends that. `concurrency` changes how many groups of it run at once in a worker process."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.set_defaults(verb="list")
        verbs = parser.add_subparsers(dest="verb", metavar="list|pause|resume|concurrency")
        verbs.add_parser("list", help="show all (default)")
        pausing = verbs.add_parser("pause", help="hand out no more of its events")
        pausing.add_argument("name", metavar="NAME")
        pausing.add_argument("--reason", default="", help="why, for whoever finds it paused")
        resuming = verbs.add_parser("resume", help="hand out its events again")
        resuming.add_argument("name", metavar="NAME")
        setting = verbs.add_parser("concurrency", help="groups of it at once in a worker process")
        setting.add_argument("name", metavar="NAME")
        setting.add_argument("groups", metavar="N", help="a number, or `default`: as its code says")

    def handle(self, *args: Any, verb: str | None, **options: Any) -> None:
        by = getpass.getuser()
        try:
            match verb:
                case "pause":
                    pause(options["name"], by=by, reason=options["reason"])
                    self.stdout.write(f"{options['name']} is paused: each worker stops within 5 seconds.")
                case "resume":
                    resumed = resume(options["name"], by=by)
                    self.stdout.write(f"{options['name']} {'goes on' if resumed else 'was not paused'}.")
                case "concurrency":
                    set_concurrency(options["name"], _number(options["groups"]), by=by)
                    self.stdout.write(f"The concurrency of {options['name']} is {options['groups']}.")
                case _:
                    self._list()
        except ControlRefusedError as error:
            raise CommandError(str(error)) from None

    def _list(self) -> None:
        rows = {row.name: row for row in Subscription.objects.all()}
        table = Table("subscription", "behind", "oldest", "retrying", "dead", "concurrency", "paused")
        for one in backlogs():
            row = rows[one.name]
            age = "" if one.oldest_age is None else f"{one.oldest_age:,.0f} s"
            concurrency = "default" if row.concurrency is None else str(row.concurrency)
            table.add_row(one.name, _behind(one), age, f"{one.retrying:,}", f"{one.dead:,}", concurrency, _paused(row))
        show(self.stdout, table)


def _number(text: str) -> int | None:
    if text == "default":
        return None
    if not text.isdecimal():
        raise ControlRefusedError(f"{text!r} is not a number of groups, nor `default`")
    return int(text)


def _behind(backlog: Backlog) -> str:
    return f"{backlog.behind:,}" if backlog.is_exact else f"> {backlog.behind:,} (about {backlog.estimate:,})"


def _paused(row: Subscription) -> str:
    if row.paused_at is None:
        return ""
    said = f"since {row.paused_at:%Y-%m-%d %H:%M:%S} UTC by {row.paused_by}"
    return printable(f"{said}: {row.pause_reason}" if row.pause_reason else said)
