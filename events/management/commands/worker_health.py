"""`manage.py worker_health`: whether the workers of this host are alive, for the health check of a container."""

import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from ...doctor.database import why_unreachable
from ...errors import summary
from ...worker.health import host_findings
from ..terminal import printable
from .reconcile import seconds


class Command(BaseCommand):
    help = (
        "Looks whether the workers and the relay on this host write their heartbeats, and whether a relay is active "
        "anywhere. The exit status is 1 with what is wrong and what to do, else 0; also while the database does not "
        "answer, as workers hold what they have until it does. It is meant for the health check of a container of "
        "workers, and changes nothing."
    )
    requires_system_checks = ()  # it is asked every few seconds

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--within",
            type=seconds,
            default=30.0,
            metavar="SECONDS",
            help="the age of a heartbeat up to which a process counts as alive (30; one is written every 5 s)",
        )

    def handle(self, *args: Any, within: float, **options: Any) -> None:
        why = why_unreachable()
        try:
            findings = [] if why else list(host_findings(within=dt.timedelta(seconds=within)))
        except Error as error:
            why = summary(error)
        if why:
            # No reason to restart them, which is what a failed probe leads to.
            self.stderr.write(f"Not known, the database does not answer: {printable(why)}")
            return
        if findings:
            raise CommandError("\n".join(printable(f"{one.problem} {one.cure}") for one in findings))
        self.stdout.write(self.style.SUCCESS("The workers of this host are alive, and a relay is active."))
