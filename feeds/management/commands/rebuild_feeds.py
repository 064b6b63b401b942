"""`manage.py rebuild_feeds`: bring feeds up to date with follows, memberships and posts."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from feeds.fanout import present
from feeds.management.progress import bar
from feeds.models import User
from feeds.rebuild import rebuild_feeds


class Command(BaseCommand):
    help = "Rebuilds the feeds of those who were here lately, or of the users named, while the site runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("usernames", nargs="*", metavar="USERNAME")

    def handle(self, *args: Any, usernames: list[str], **options: Any) -> None:
        users = User.objects.named(*usernames) if usernames else present()
        number = users.count()
        if number < len(set(usernames)):
            known = ", ".join(users.values_list("username", flat=True)) or "none"
            raise CommandError(f"not every name belongs to a user; known of these: {known}")
        with bar("Rebuilding", total=number) as advance:
            rebuild_feeds(users, advance=advance)
        self.stdout.write(self.style.SUCCESS(f"{number} feeds are up to date."))
