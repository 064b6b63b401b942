"""Shutdown: the first step of a worker's end. Consumers take no more, and messages that were not started go back to the
broker, so that they need not wait for the messages that still run here."""

from __future__ import annotations

import time

from dramatiq.broker import Broker
from dramatiq.common import iter_queue
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker

from ..brokers.contract import EventBroker, EventConsumer

#: Seconds that consumers get to notice that the worker ends.
CONSUMER_GRACE = 3.0


class OrderlyShutdown(Middleware):
    """Stops the consumers of a worker, and gives back what no thread has started."""

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        if isinstance(broker, EventBroker):
            broker.stopping.clear()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        if isinstance(broker, EventBroker):
            broker.stopping.set()
            _await_consumers(worker)
        for item in iter_queue(worker.work_queue):  # type: ignore[no-untyped-call]
            worker.consumers[item.message.queue_name].requeue_messages([item.message])


def _await_consumers(worker: Worker) -> None:
    """Wait until no consumer can hand out anything more, for CONSUMER_GRACE at most."""
    deadline = time.monotonic() + CONSUMER_GRACE
    for thread in worker.consumers.values():
        if isinstance(thread.consumer, EventConsumer):
            thread.consumer.stopped.wait(max(0.0, deadline - time.monotonic()))
