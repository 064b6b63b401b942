"""Middleware of the worker: time limits, retry and dead letter (failing closed), and the relay beside the workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.db import connections
from dramatiq.broker import Broker, MessageProxy
from dramatiq.middleware import Middleware, TimeLimit
from dramatiq.worker import Worker

from events.delivery import DeliveryFailed
from events.pool import get_pool
from events.recording import record
from events.relay import RelayThread

log = structlog.get_logger("events.delivery")

#: Seconds that what subscribers left to the pool may take to finish when the worker ends.
POOL_GRACE = 10.0


class DeliveryTimeLimit(TimeLimit):
    """Dramatiq's time limit, counted per delivery instead of per message: a message may carry a group of them."""

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        """The limit begins with each delivery."""

    def after_process_message(self, broker: Broker, message: MessageProxy, **outcome: Any) -> None:
        """The limit ended with each delivery."""

    after_skip_message = after_process_message

    @contextmanager
    def guard(self, milliseconds: int) -> Iterator[None]:
        """Interrupt the calling thread with TimeLimitExceeded if it stays inside for longer."""
        thread = threading.get_ident()
        self.manager.add_timeout(thread, milliseconds)
        try:
            yield
        finally:
            self.manager.remove_timeout(thread)


class RetryOrDeadLetter(Middleware):
    """Records failed deliveries. The message stays marked as failed until they are written down, so that a failure of
    the record gives it back to the broker instead of losing it."""

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        if exception is None:
            return
        message.fail()
        if isinstance(exception, DeliveryFailed):
            record(exception)
            message.failed = False
        else:
            log.error("delivery without outcome, given back", queue=message.queue_name, error=repr(exception))


class Relaying(Middleware):
    """Runs the relay, and the process's heartbeat, as a thread of each worker process."""

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
        for connection in connections.all(initialized_only=True):
            if getattr(connection, "pool", None):
                connection.close_pool()  # type: ignore[attr-defined]
