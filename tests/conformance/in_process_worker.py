"""InProcessWorker: a worker with its relay on threads of this process, as `rundramatiq` runs them in one of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

import dramatiq
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker

from events.brokers.contract import EventBroker
from events.brokers.share import ThreadShare
from events.inbox.time_limit import DeliveryTimeLimit
from events.subscription import Subscription
from events.worker.actors import declare_actor
from events.worker.services import HostServices, WorkerServices
from tests.conformance.delivery_log import DeliveryLog


@cache
def time_limit() -> DeliveryTimeLimit:
    """One watch over time limits for the whole process: its thread never ends."""
    watch = DeliveryTimeLimit()
    watch.after_process_boot(dramatiq.get_broker())
    return watch


def middleware_of_a_worker() -> Iterator[Middleware]:
    """What the settings and the events app put on the process-wide broker, made anew.

    Not the one that runs the relay and closes the process's task pool: here the process goes on. Not the share: each
    broker has its own.
    """
    for one in dramatiq.get_broker().middleware:
        if isinstance(one, DeliveryTimeLimit):
            yield time_limit()
        elif not isinstance(one, (HostServices, ThreadShare)):
            yield type(one)()


class InProcessWorker:
    """Works for the given subscribers until it is stopped; the process's task pool stays open for the next one."""

    def __init__(
        self, broker: EventBroker, subscriptions: Iterable[Subscription], *, delivery_log: DeliveryLog, threads: int
    ) -> None:
        self.broker = broker
        for middleware in (*middleware_of_a_worker(), delivery_log):
            broker.add_middleware(middleware)
        for subscription in subscriptions:
            declare_actor(broker, subscription)
        self._relay: WorkerServices | None = None
        self._worker = Worker(broker, worker_threads=threads, worker_timeout=100)
        self._worker.start()
        self.start_relay()

    def start_relay(self) -> None:
        self._relay = WorkerServices(self.broker)
        self._relay.start()

    def stop_relay(self) -> None:
        if self._relay is not None:
            self._relay.stop()
            self._relay = None

    def stop(self, *, timeout: float = 30.0) -> None:
        """Finish what runs and end; what waits is left to the next worker."""
        self.stop_relay()
        self._worker.stop(timeout=int(timeout * 1000))
        self.broker.close()

    def __enter__(self) -> InProcessWorker:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
