"""Services: what runs beside the workers of a process: the heartbeat and, where it has a relay, the relay, reconcile
and chores."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.db import close_old_connections, connections
from dramatiq.broker import Broker
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker

from ..brokers.contract import EventBroker
from ..chores import Timetable
from ..logger import get_logger
from ..pool import get_pool
from ..relay.relay import Relay
from ..repair.announce import announce
from ..repair.reconcile import Reconciler
from ..repair.sweep import sweep
from .busy import busy_figures
from .heartbeat import Heartbeat

log = get_logger("events.relay")

#: Seconds between two searches for what is missing.
RECONCILE_INTERVAL = 30.0
#: Seconds that tasks in the pool get to finish when the worker ends.
POOL_GRACE = 5.0
#: Seconds that the last heartbeat gets.
BEAT_GRACE = 3.0


class WorkerServices:
    """The threads of a process beside its workers: a heartbeat; unless the relay runs elsewhere, relay and
    reconcile."""

    def __init__(self, broker: EventBroker, *, kind: str = "worker", threads: int = 0, relay: bool = True) -> None:
        """threads: of the worker, for the heartbeat to say how many of them are busy."""
        #: Set for relay and reconcile; the heartbeat goes on while deliveries finish.
        self._stop = threading.Event()
        self._broker = broker
        self._worker_threads = threads
        self._relay = Relay(broker, stop=self._stop) if relay else None
        state = self._is_active if relay else None
        self._heartbeat = Heartbeat(kind, figures=self._figures, prepare=announce, state=state)
        targets = {"relay": self._relay.run, "reconcile": self._reconcile} if self._relay else {}
        self._threads = [threading.Thread(target=target, name=name, daemon=True) for name, target in targets.items()]

    def start(self) -> None:
        """Start the threads; the heartbeat announces this process's subscribers first."""
        self._heartbeat.start()
        for thread in self._threads:
            thread.start()

    def stop(self, *, timeout: float = 10.0) -> None:
        """End relay, reconcile and, last of all, the heartbeat, within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self.stop_relay(timeout=timeout)
        self._heartbeat.stop(timeout=deadline - time.monotonic())

    def stop_relay(self, *, timeout: float = 10.0) -> None:
        """Finish the batch under way and end relay and reconcile, within `timeout` seconds; the heartbeat goes on."""
        self._stop.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _is_active(self) -> bool:
        return self._relay is not None and self._relay.active

    def _figures(self) -> dict[str, Any]:
        figures = {"relay_active": self._relay.active} if self._relay else {}
        return figures | (busy_figures(self._worker_threads) if self._worker_threads else {})

    def _reconcile(self) -> None:
        reconciler, timetable = None, Timetable()
        while not self._stop.wait(RECONCILE_INTERVAL):
            try:
                if not (self._relay and self._relay.active):
                    reconciler = None
                    connections.close_all()
                    continue
                close_old_connections()
                timetable.do_due()  # before what needs the broker
                reconciler = reconciler or Reconciler(self._broker)
                reconciler.run_pass()
                sweep(self._broker)
            except Exception as error:
                log.warning("reconcile put off", error=repr(error), exc_info=True)
        connections.close_all()


class HostServices(Middleware):
    """Starts the services with a worker process, and closes the task pool after it."""

    def __init__(self) -> None:
        #: Whether a relay runs in this process, too. A supervisor gives it a process of its own.
        self.relay = True
        self._services: WorkerServices | None = None

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        if isinstance(broker, EventBroker):
            self._services = WorkerServices(broker, threads=worker.worker_threads, relay=self.relay)
            self._services.start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        if self._services is not None:
            self._services.stop_relay()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """Close the task pool and psycopg's, whose threads would delay the end of the process by seconds."""
        if self._services is not None:
            self._services.stop(timeout=BEAT_GRACE)
        get_pool().close(timeout=POOL_GRACE)
        if isinstance(broker, EventBroker):
            broker.release_unstarted()
        close_pools()


def close_pools() -> None:
    """Close psycopg's pools."""
    for connection in connections.all(initialized_only=True):
        if getattr(connection, "pool", None):
            connection.close_pool()  # type: ignore[attr-defined]
