"""The effects: nothing, or one UPDATE; and the clock that runs from the first to the last of them."""

from __future__ import annotations

import threading
import time

from django.db import connection

ROWS = 1_000


class Clock:
    """Counts effects; knows when the first began and whether the last is done."""

    def __init__(self) -> None:
        self.started = 0.0
        self.count = 0
        self.goal = 0
        self.reached = threading.Event()
        self._lock = threading.Lock()

    def tick(self, times: int = 1) -> None:
        """So many effects happen now."""
        with self._lock:
            if not self.count:
                self.started = time.perf_counter()
            self.count += times
            if self.count >= self.goal:
                self.reached.set()


clock = Clock()


def update(number: int) -> None:
    """One UPDATE of one row."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE backlog_row SET count = count + 1 WHERE id = %s", [number % ROWS + 1])
