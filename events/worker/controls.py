"""Controls: a worker process reads every few seconds what operators say of its subscribers, and does it."""

from __future__ import annotations

import threading

from django.db import Error, close_old_connections, connections
from dramatiq.broker import Broker
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker

from ..brokers.contract import EventBroker
from ..db import discard
from ..logger import get_logger
from ..repair.controls import controls

log = get_logger("events.controls")

#: Seconds between two looks; what an operator says holds everywhere within 5.
INTERVAL = 2.0


class ControlsWatch(Middleware):
    """Reads before the first message is handed out. While the database does not answer at the start nothing is; later,
    what was read last holds."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        if not isinstance(broker, EventBroker):
            return
        broker.share.control(None)
        self._look(broker)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(broker, self._over), name="controls", daemon=True)
        self._thread.start()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(INTERVAL)

    def _run(self, broker: EventBroker, over: threading.Event) -> None:
        while not over.wait(INTERVAL):
            close_old_connections()
            self._look(broker)
        connections.close_all()

    def _look(self, broker: EventBroker) -> None:
        try:
            broker.share.control(controls())
        except Error as error:
            log.warning("controls not read", error=repr(error), again_in=INTERVAL)
            for connection in connections.all(initialized_only=True):
                discard(connection)
