"""`manage.py relay`: the relay alone, for workers that run without one or a place of its own."""

import signal
import threading
from typing import Any

import dramatiq
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from ...brokers.embedded import EmbeddedBroker
from ...relay.relay import RelayThread


class Command(BaseCommand):
    help = "Publishes events from the outbox to the broker until SIGTERM or Ctrl+C. Several can run; one is active."

    def handle(self, *args: Any, **options: Any) -> None:
        broker = dramatiq.get_broker()
        if isinstance(broker, EmbeddedBroker):
            raise CommandError("The embedded broker needs no relay of its own. Run `manage.py rundramatiq` or `up`.")
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        relay = RelayThread(broker, kind="relay")
        relay.start()
        self.stdout.write(_("The relay is running. Press Ctrl+C to stop."))
        stop.wait()
        relay.stop()
