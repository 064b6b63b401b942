"""The effects of an event, nothing or one UPDATE, and the clock that counts them."""

from __future__ import annotations

import threading
import time

from django.db import connection

#: Rows that the UPDATEs are spread over.
ROWS = 1_000


class Clock:
    """Counts the effects in this process, and notes the time of the first."""

    def __init__(self) -> None:
        #: Time of the first effect, by time.perf_counter.
        self.started = 0.0
        self.count = 0
        #: Effects after which `reached` is set.
        self.goal = 0
        self.reached = threading.Event()
        self._lock = threading.Lock()

    def count_effects(self, number: int = 1) -> None:
        """Count some effects that happen now."""
        with self._lock:
            if not self.count:
                self.started = time.perf_counter()
            self.count += number
            if self.count >= self.goal:
                self.reached.set()


clock = Clock()


def update(number: int) -> None:
    """One UPDATE of one row."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE backlog_row SET count = count + 1 WHERE id = %s", [number % ROWS + 1])
