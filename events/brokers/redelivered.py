"""Suspects: messages that were delivered before, without an outcome; any of them may be what ended its worker.

One at a time is under way in a process, so that the next end is charged to the one that ran alone. No thread waits for
its turn, and fresh messages go past.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from ..inbox.message import Arrival

#: How soon one who was refused looks again, in seconds.
POLL = 0.02
#: So long one queue's suspects follow each other while another's wait, in seconds.
STREAK = 0.5


class Turn:
    """Who may hand out a suspect: one queue after another, each for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._last: object = None
        self._since = 0.0
        self._others_wait = False
        self._kept_for_others_until = 0.0

    def is_free(self, queue: object) -> bool:
        """Whether a queue could hand one out now."""
        is_kept = queue is self._last and time.monotonic() < self._kept_for_others_until
        return not self._taken and not is_kept

    def begin(self, queue: object) -> bool:
        """Whether a queue may hand one out; if so, `end` is to follow."""
        with self._lock:
            if not self.is_free(queue):
                self._others_wait |= queue is not self._last
                return False
            if queue is not self._last:
                self._last, self._since = queue, time.monotonic()
                self._others_wait = False
            self._taken = True
            return True

    def end(self, arrivals: Sequence[Arrival]) -> None:
        """These, handed out together, are settled or given back, suspects or not."""
        if not arrivals[0].redelivered:
            return
        with self._lock:
            self._taken = False
            if self._others_wait and (now := time.monotonic()) >= self._since + STREAK:
                self._since, self._kept_for_others_until = now, now + 2 * POLL


turn = Turn()
