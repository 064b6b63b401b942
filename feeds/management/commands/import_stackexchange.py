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
        "Imports a Stack Exchange dump (CSV or XML) as users, posts, comments, votes and follows, with all their "
        "events. You can stop it and start it again: rows that are already imported are left as they are. Imported "
        "rows notify nobody."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "folder", type=Path, metavar="DIR", help="folder with Posts, Comments, Votes and optionally Users"
        )
        parser.add_argument("--graph", type=Path, metavar="FILE", help='text file with one "A B" per line: A follows B')
        parser.add_argument(
            "--source", metavar="NAME", help="name of the imported site, to tell dumps apart (default: the name of DIR)"
        )

    def handle(self, *args: Any, folder: Path, graph: Path | None, source: str | None, **options: Any) -> None:
        source = source or folder.resolve().name
        if len(source) > 100:
            raise CommandError(f"The source name {source!r} is too long. Use --source with at most 100 characters.")
        try:
            with Progress(console=Console(stderr=True)) as progress:
                report = import_dump(folder, source=source, graph=graph, progress=progress)
        except BadDumpError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. Imported rows are kept. To continue, run the same command again.") from None
        console = Console(width=None if self.stdout.isatty() else 120)
        with console.capture() as table:
            console.print(report.table())
        self.stdout.write(table.get())
        self.stdout.write("Counts, feeds and search are updated as the workers process the events.")
