"""createsuperuser: as Django's. A name that looks like another user's is refused.

A reserved one, such as admin, is not: whoever runs commands speaks for the site.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            super().handle(*args, **options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
