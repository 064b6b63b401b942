"""`manage.py fill_looks`: store what the names of users and circles look like."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from events.management.terminal import progress_bar
from feeds.batch.chunks import StoppedEarlyError
from feeds.fill_looks import fill_looks_of_circles, fill_looks_of_users
from feeds.management.resumable import add_arguments, resumable, whole_number
from feeds.models import User


class Command(BaseCommand):
    help = (
        "Stores what the names look like that an older release wrote, while the site runs, so that no new name looks "
        "like one of them. Run it after an upgrade, when the old release has ended."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser, place=whole_number, metavar="ID")

    def handle(self, *args: Any, jobs: int | None, after: int | None, **options: Any) -> None:
        after = after or 0
        total = User.objects.filter(pk__gt=after).count()
        with resumable(), progress_bar("Names", total=total) as advance:
            try:
                circles = fill_looks_of_circles(jobs=jobs)
            except StoppedEarlyError as stop:
                stop.after = after  # circles are few: each run does all of them
                raise
            users = fill_looks_of_users(jobs=jobs, after=after, advance=advance)
        self.stdout.write(self.style.SUCCESS(f"{total} users done, and all circles."))
        for name in (*users, *circles):
            self.stdout.write(f"{name} looks like another one, which has the look. Both keep working.")
