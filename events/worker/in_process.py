"""In process: dramatiq's worker with its services inside this process, for `manage.py up` and for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dramatiq
from dramatiq.worker import Worker


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
    try:
        yield
    finally:
        worker.stop(timeout=int(timeout * 1000))
        broker.close()
