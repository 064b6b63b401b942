"""`manage.py import_stackexchange DIR [--graph FILE]`: load a Stack Exchange dump."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress

from feeds.stackexchange.dump import BadDumpError
from feeds.stackexchange.import_dump import import_dump


class Command(BaseCommand):
    help = (
        "Loads a Stack Exchange dump (CSV or XML) as users, posts, comments, votes and follows, with all their events. "
        "It can be broken off and started again; what is here already is left as it is. Nobody is notified of the past."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="holds Posts, Comments, Votes and perhaps Users")
        parser.add_argument("--graph", type=Path, metavar="FILE", help='an edge "A B" per line: A follows B')
        parser.add_argument(
            "--source", metavar="NAME", help="tells this site's dumps from others' (default: the name of DIR)"
        )

    def handle(self, *args: Any, folder: Path, graph: Path | None, source: str | None, **options: Any) -> None:
        source = source or folder.resolve().name
        if len(source) > 100:
            raise CommandError(
                f"{source!r} is too long a name for a source: give one of up to 100 characters by --source"
            )
        try:
            with Progress(console=Console(stderr=True)) as progress:
                report = import_dump(folder, source=source, graph=graph, progress=progress)
        except BadDumpError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("stopped; what is here stays, and the same command goes on from there") from None
        console = Console(width=None if self.stdout.isatty() else 120)
        with console.capture() as table:
            console.print(report.table())
        self.stdout.write(table.get())
        self.stdout.write("Counts, feeds and search follow as the workers get to the events.")
