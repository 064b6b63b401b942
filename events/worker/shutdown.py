"""Middleware of the worker: retry and dead letter (failing closed), an orderly end, the relay beside the workers."""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog
from django.db import DataError, Error, IntegrityError, close_old_connections, connections
from dramatiq.broker import Broker, MessageProxy
from dramatiq.common import compute_backoff, iter_queue
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker

from ..brokers.contract import EventBroker, EventConsumer
from ..brokers.embedded import EmbeddedBroker
from ..brokers.hand_over_outbox import put_down
from ..inbox.delivery import DeliveryFailed, StillRunningError
from ..inbox.retry import record
from ..pool import get_pool
from ..relay.relay import RelayThread

log = structlog.get_logger("events.delivery")

#: Seconds that what subscribers left to the pool may take to finish when the worker ends.
POOL_GRACE = 10.0
#: Seconds that consumers get to notice that the worker ends.
CONSUMER_GRACE = 3.0
#: The first and the longest pause before a failure is recorded again, in milliseconds.
RECORD_BACKOFF = (100, 15_000)


class RetryOrDeadLetter(Middleware):
    """Records failed deliveries. The message stays marked as failed until they are written down, so that a failure of
    the record gives it back to the broker instead of losing it.

    While the database is away or unwell the message is held and the record tried again: given back, it would go round
    and round, and a quorum queue drops what was delivered too often.
    """

    def __init__(self) -> None:
        self._ending = threading.Event()

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self._ending.clear()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._ending.set()

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        if exception is None:
            return
        message.fail()
        if isinstance(exception, DeliveryFailed):
            message.failed = not self._recorded(exception)
        elif isinstance(exception, StillRunningError):
            log.info("given back while another run goes on", queue=message.queue_name, delivery=str(exception))
        else:
            log.error("delivery without outcome, given back", queue=message.queue_name, error=repr(exception))

    def _recorded(self, failed: DeliveryFailed) -> bool:
        """Whether it could be recorded before the worker ends. Raises what no waiting can mend."""
        tries = 0
        while True:
            try:
                record(failed)
                return True
            except (DataError, IntegrityError):
                raise
            except Error as error:
                tries, pause = compute_backoff(tries, factor=RECORD_BACKOFF[0], max_backoff=RECORD_BACKOFF[1])
                log.warning(
                    "failure not recorded yet",
                    subscriber=failed.subscription.name,
                    error=repr(error),
                    again_in=pause / 1000,
                )
                close_old_connections()
                if self._ending.wait(pause / 1000):
                    return False


class Leaving(Middleware):
    """Begins a worker's end: no more is taken, and what no thread has begun goes back at once, so that others need not
    wait for what runs here."""

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        if isinstance(broker, EventBroker):
            broker.stopping.clear()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        if isinstance(broker, EventBroker):
            broker.stopping.set()
            _await_consumers(worker)
        for item in iter_queue(worker.work_queue):
            worker.consumers[item.message.queue_name].requeue_messages([item.message])


def _await_consumers(worker: Worker) -> None:
    """Wait until no consumer can hand over anything more; one that hangs is not waited for long."""
    deadline = time.monotonic() + CONSUMER_GRACE
    for thread in worker.consumers.values():
        if isinstance(thread.consumer, EventConsumer):
            thread.consumer.stopped.wait(max(0.0, deadline - time.monotonic()))


class Relaying(Middleware):
    """Runs the relay, and what stands beside it, as threads of each worker process."""

    def __init__(self) -> None:
        self._thread: RelayThread | None = None

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self._thread = RelayThread(broker)
        self._thread.start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        if self._thread is not None:
            self._thread.stop()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """Close the task pool, and psycopg's, whose threads would hold up the end of the process for seconds."""
        get_pool().close(timeout=POOL_GRACE)
        if isinstance(broker, EmbeddedBroker):
            put_down(broker)
        for connection in connections.all(initialized_only=True):
            if getattr(connection, "pool", None):
                connection.close_pool()  # type: ignore[attr-defined]
