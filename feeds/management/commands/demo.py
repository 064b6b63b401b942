"""`manage.py demo`: load the demo data once, and print the names to sign in with."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from feeds.demo.load import ADMINISTRATOR, PASSWORD, NamesTakenError, load_demo, people


class Command(BaseCommand):
    help = "Loads people, circles, posts and threads to look around in, once, and shows their password."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("the demo's people have a password that everyone knows; load them with DEBUG=on only")
        try:
            loaded = load_demo()
        except NamesTakenError as taken:
            self.stdout.write(f"The demo data was not loaded: these names are taken already: {taken}")
            return
        self.stdout.write("The demo data is loaded." if loaded else "The demo data is there.")
        self.stdout.write(f"Sign in as {', '.join(people())}; and as {ADMINISTRATOR} at /admin/")
        self.stdout.write(f"with the password {self.style.SUCCESS(PASSWORD)}")
