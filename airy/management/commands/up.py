"""`manage.py up [ADDR:PORT]`: web, relay, workers and live push in one process."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils.translation import gettext as _

from airy.serve import parse_address, serve
from events import tracing
from events.db import unapplied_migrations
from events.worker import running_worker


class Command(BaseCommand):
    help = "Runs all of Airy in one process: web, relay, workers and live push. Ctrl+C finishes running work and stops."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", nargs="?", default="127.0.0.1:8000", metavar="ADDR:PORT")
        parser.add_argument("--threads", type=int, default=4, help="number of threads that process events (default: 4)")

    def handle(self, *args: Any, address: str, threads: int, **options: Any) -> None:
        try:
            host, port = parse_address(address)
        except ValueError as error:
            raise CommandError(str(error)) from None
        if missing := unapplied_migrations(connection):
            raise CommandError(f"{len(missing)} migrations are not applied. Run `manage.py migrate` first.")

        def say(text: str) -> None:
            if settings.DEBUG or self.stdout.isatty():  # elsewhere it is a log, in which every line has the same form
                self.stdout.write(text)
                self.stdout.flush()

        def ready() -> None:
            say(_("Airy is running at %(url)s. Press Ctrl+C to stop.") % {"url": f"http://{host}:{port}/"})

        tracing.begin("up")
        with running_worker(threads=threads):
            started = serve(host, port, ready=ready)
            if started:
                say(_("Finishing running work…"))
        if not started:
            raise CommandError(
                f"Cannot listen on {host}:{port}. If the port is in use, try another: manage.py up {port + 1}"
            )
