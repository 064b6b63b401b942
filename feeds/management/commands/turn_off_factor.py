"""turn_off_factor: for a person who has lost app and recovery codes, once the operator knows that it is them."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from feeds.models import SecondFactor, User

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Turn off the second factor of a person who has lost it. Make sure first that it is them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.named(options["username"]).first()
        if user is None:
            raise CommandError(_("There is no user “%(name)s”.") % {"name": options["username"]})
        factors = SecondFactor.objects.filter(user=user)
        if not factors:
            raise CommandError(_("The second factor of %(name)s is not on.") % {"name": user.username})
        factors.delete()
        logger.warning("second factor turned off by an operator", extra={"user": user.pk})
        self.stdout.write(_("The second factor of %(name)s is off.") % {"name": user.username})
