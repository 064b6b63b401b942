"""`manage.py runserver [ADDR:PORT]`: the web part alone."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import autoreload
from django.utils.translation import gettext as _

from airy.serve import parse_address, serve
from events.db import unapplied_migrations
from events.models import Process


class Command(BaseCommand):
    help = (
        "Serves HTTP and websockets, and reloads when code changes. Run `manage.py rundramatiq` beside it to deliver "
        "events."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", nargs="?", default="127.0.0.1:8000", metavar="ADDR:PORT")
        parser.add_argument("--noreload", action="store_true", help="do not restart when code changes")

    def handle(self, *args: Any, address: str, noreload: bool, **options: Any) -> None:
        try:
            host, port = parse_address(address)
        except ValueError as error:
            raise CommandError(str(error)) from None
        if missing := unapplied_migrations(connection):
            raise CommandError(f"{len(missing)} migrations are not applied. Run `manage.py migrate` first.")
        if noreload:
            self.serve(host, port)
        else:
            autoreload.run_with_reloader(self.serve, host, port)

    def serve(self, host: str, port: int) -> None:
        """Serve until a signal comes. Raises CommandError if the port is taken."""
        if not Process.objects.alive().exclude(kind="web").exists():
            message = _(
                "No worker is running. Events are stored, but not delivered until you start `manage.py rundramatiq`."
            )
            self.stdout.write(self.style.WARNING(message))

        def ready() -> None:
            self.stdout.write(_("Serving at %(url)s") % {"url": f"http://{host}:{port}/"})
            self.stdout.flush()

        if not serve(host, port, ready=ready):
            raise CommandError(
                f"Cannot listen on {host}:{port}. If the port is in use, try another: manage.py runserver {port + 1}"
            )
