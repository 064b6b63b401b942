"""`manage.py relay`: the relay alone, in a place of its own."""

import signal
from typing import Any

import dramatiq
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from ...brokers.contract import EventBroker
from ...worker.signals import Signals
from ...worker.tasks import run_relay
from ..claim import claim
from ..refuse_pooler import refuse_pooler


class Command(BaseCommand):
    help = "Publishes events from the outbox to the broker until SIGTERM or Ctrl+C. Several can run; one is active."

    def handle(self, *args: Any, **options: Any) -> None:
        broker = dramatiq.get_broker()
        if not isinstance(broker, EventBroker):
            raise CommandError(f"{type(broker).__name__} cannot carry events. Run `manage.py check`.")
        if broker.in_process:
            raise CommandError("This broker needs no separate relay: `manage.py rundramatiq` runs it with the workers.")
        refuse_pooler()
        claim(broker)
        signals = Signals(signal.SIGINT, signal.SIGTERM)
        if self.stdout.isatty():
            self.stdout.write(_("The relay is running. Press Ctrl+C to stop."))
            self.stdout.flush()
        run_relay(signals, broker)
