"""Ready: the log says when messages come to a worker."""

from __future__ import annotations

import threading

from dramatiq.broker import Broker
from dramatiq.worker import Worker

from ..brokers.contract import EventBroker, EventConsumer
from ..logger import get_logger

log = get_logger("events.worker")

#: Seconds between two looks at the consumers.
LOOK = 0.1


def say_when_ready(worker: Worker, broker: Broker) -> None:
    """Log "worker ready" once each of its consumers consumes, in the background, unless the worker ends before."""
    if isinstance(broker, EventBroker):
        threading.Thread(target=_wait, args=(worker, broker), name="ready", daemon=True).start()


def _wait(worker: Worker, broker: EventBroker) -> None:
    while not all(_is_ready(thread.consumer) for thread in list(worker.consumers.values())):
        if broker.stopping.wait(LOOK):
            return
    log.info("worker ready", threads=worker.worker_threads, queues=len(worker.consumers))


def _is_ready(consumer: object) -> bool:
    return consumer.is_ready() if isinstance(consumer, EventConsumer) else consumer is not None
