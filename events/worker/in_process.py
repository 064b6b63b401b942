"""In process: dramatiq's worker with its services inside this process, for `manage.py up` and for tests; or a heartbeat
alone, for a web process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dramatiq
from dramatiq.worker import Worker

from ..logger import get_logger
from .ready import say_when_ready

log = get_logger("events.worker")

#: Seconds that the last heartbeat gets.
LAST_BEAT = 3.0


@contextmanager
def running_worker(*, threads: int = 4, timeout: float = 30.0) -> Iterator[None]:
    """Process events while inside. On leaving, finish running deliveries, then close the pool, then the broker.

    timeout: seconds that running deliveries get to finish. One that does not finish is delivered again by the next
    worker.
    """
    broker = dramatiq.get_broker()
    broker.emit_after("process_boot")
    worker = Worker(broker, worker_threads=threads, worker_timeout=500)
    worker.start()
    say_when_ready(worker, broker)
    try:
        yield
    finally:
        worker.stop(timeout=int(timeout * 1000))
        broker.close()
        log.info("worker stopped")


@contextmanager
def running_heartbeat(kind: str) -> Iterator[None]:
    """Write a heartbeat with this process's figures while inside. On leaving, the row goes and its counts are kept."""
    from .heartbeat import Heartbeat  # it needs the models, which Django may not have loaded yet

    heartbeat = Heartbeat(kind)
    heartbeat.start()
    try:
        yield
    finally:
        heartbeat.stop(timeout=LAST_BEAT)
