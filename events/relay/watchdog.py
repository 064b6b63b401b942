"""Watchdog: cuts the connections at which a relay hangs, so that it can begin anew with others.

A server process that hangs answers nothing, and ends nothing: a thread that waits for it would wait for ever. A standby
carries by then; but there may be none.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..logger import get_logger

log = get_logger("events.relay")

#: Seconds between two looks.
INTERVAL = 0.5


class Watchdog:
    """Watches one thread. That thread says `progress()` again and again while it works, and `rest()` when it does not.

    cut: called by the watchdog's own thread when the other one made no progress for `patience` seconds.
    """

    def __init__(self, cut: Callable[[], None]) -> None:
        self._cut = cut
        self._deadline: float | None = None
        self._patience = 0.0
        self._over = threading.Event()

    def start(self) -> None:
        """Watch until `stop`."""
        threading.Thread(target=self._watch, name="relay watchdog", daemon=True).start()

    def progress(self, *, patience: float | None = None) -> None:
        """The thread works, and should say so again within `patience` seconds; as long as the last time by default."""
        self._patience = self._patience if patience is None else patience
        self._deadline = time.monotonic() + self._patience

    def rest(self) -> None:
        """The thread does nothing that may hang."""
        self._deadline = None

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            deadline = self._deadline
            if deadline is not None and time.monotonic() > deadline:
                log.warning("the relay hangs in the database: its connections are cut", patience=self._patience)
                self.progress()
                self._cut()


def cut(session: Any) -> None:
    """Shut the socket of a psycopg connection down: the thread that waits at it gets an error."""
    if session is None or session.closed:
        return
    with suppress(OSError), socket.socket(fileno=os.dup(session.pgconn.socket)) as wire:
        wire.shutdown(socket.SHUT_RDWR)
