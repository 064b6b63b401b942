"""`manage.py relay`: the relay alone, for workers that run without one or a place of its own."""

import signal
import threading
from typing import Any

import dramatiq
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from ...brokers.contract import EventBroker
from ...worker.services import WorkerServices


class Command(BaseCommand):
    help = "Publishes events from the outbox to the broker until SIGTERM or Ctrl+C. Several can run; one is active."

    def handle(self, *args: Any, **options: Any) -> None:
        broker = dramatiq.get_broker()
        if not isinstance(broker, EventBroker):
            raise CommandError(f"{type(broker).__name__} cannot carry events. Run `manage.py check`.")
        if broker.in_process:
            raise CommandError(
                "The embedded broker needs no separate relay. Run `manage.py rundramatiq` or `manage.py up`."
            )
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        services = WorkerServices(broker, kind="relay")
        services.start()
        self.stdout.write(_("The relay is running. Press Ctrl+C to stop."))
        stop.wait()
        services.stop()
