"""`manage.py rebuild_feeds`: make feeds agree with follows, memberships and posts."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from events.management.terminal import progress_bar
from feeds.home_feed.rebuild import rebuild_feeds
from feeds.home_feed.recipients import seen_lately
from feeds.management.resumable import add_arguments, resumable, whole_number
from feeds.models import User


class Command(BaseCommand):
    help = "Rebuilds the feeds of recently active users, or of the given users, while the site runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("usernames", nargs="*", metavar="USERNAME")
        add_arguments(parser, place=whole_number, metavar="USER")

    def handle(self, *args: Any, usernames: list[str], jobs: int | None, after: int | None, **options: Any) -> None:
        users = User.objects.named(*usernames) if usernames else seen_lately()
        if users.count() < len(set(usernames)):
            known = ", ".join(users.values_list("username", flat=True)) or "none"
            raise CommandError(f"Not every name belongs to a user. Known users among them: {known}")
        after = after or 0
        number = users.filter(pk__gt=after).count()
        with resumable(), progress_bar("Rebuilding", total=number) as advance:
            rebuild_feeds(users, jobs=jobs, after=after, advance=advance)
        self.stdout.write(self.style.SUCCESS(f"{number} feeds are up to date."))
