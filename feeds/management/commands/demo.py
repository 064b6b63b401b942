"""`manage.py demo`: load the demo data once, and print the names to sign in with."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from feeds.demo.load import ADMINISTRATOR, PASSWORD, NamesTakenError, load_demo, people


class Command(BaseCommand):
    help = "Loads demo users, circles, posts and comments once, and prints how to sign in."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo users share a public password. Load them only with DEBUG=on.")
        try:
            loaded = load_demo()
        except NamesTakenError as taken:
            self.stdout.write(f"The demo data was not loaded: these usernames are already taken: {taken}")
            return
        self.stdout.write("Demo data loaded." if loaded else "The demo data is already loaded.")
        self.stdout.write(f"Sign in as {', '.join(people())}, or as {ADMINISTRATOR} at /admin/,")
        self.stdout.write(f"with the password {self.style.SUCCESS(PASSWORD)}")
