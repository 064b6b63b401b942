"""`manage.py rerender`: make anew what is stored beside the texts."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from events.management.terminal import progress_bar
from feeds.batch.position import START, Position, total
from feeds.management.resumable import add_arguments, resumable
from feeds.rerender import rerender


class Command(BaseCommand):
    help = (
        "Parses the posts and comments whose HTML is missing, or of an older version, while the site runs. "
        "Run it after an upgrade."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser, place=Position.read, metavar="post/N|comment/N")

    def handle(self, *args: Any, jobs: int | None, after: Position | None, **options: Any) -> None:
        after = after or START
        with resumable(), progress_bar("Rendering", total=total(after=after)) as advance:
            made = rerender(jobs=jobs, after=after, advance=advance)
        self.stdout.write(self.style.SUCCESS(f"{made} texts rendered anew."))
