"""`manage.py reindex`: bring the search index up to date with all posts."""

from typing import Any

from django.core.management.base import BaseCommand

from feeds.management.progress import bar
from feeds.models import Post
from feeds.reindex import reindex


class Command(BaseCommand):
    help = "Indexes every visible post anew while the site runs."

    def handle(self, *args: Any, **options: Any) -> None:
        with bar("Indexing", total=Post.objects.count()) as advance:
            documents = reindex(advance=advance)
        self.stdout.write(self.style.SUCCESS(f"{documents} posts can be found."))
