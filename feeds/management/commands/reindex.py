"""`manage.py reindex`: bring all posts up to date in the search index."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from events.management.terminal import progress_bar
from feeds.management.resumable import add_arguments, resumable, whole_number
from feeds.models import Post
from feeds.search.reindex import reindex


class Command(BaseCommand):
    help = "Rebuilds the search index for all visible posts while the site runs."

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser, place=whole_number, metavar="POST")

    def handle(self, *args: Any, jobs: int | None, after: int | None, **options: Any) -> None:
        after = after or 0
        number = Post.objects.filter(pk__gt=after).count()
        with resumable(), progress_bar("Indexing", total=number) as advance:
            documents = reindex(jobs=jobs, after=after, advance=advance)
        self.stdout.write(self.style.SUCCESS(f"{documents} posts indexed."))
