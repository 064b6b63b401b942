"""Redelivered: messages that were delivered before, without an outcome. Any of them may be what killed its worker.

Only one of them is under way in a process at a time. So the next kill is charged to the message that ran alone. No
thread waits for its turn, and messages that were never delivered go past.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from ..inbox.message import ReceivedMessage
from .priority_queue import PriorityQueue

#: Seconds until a queue that was refused a turn asks again.
POLL = 0.02
#: Seconds of turns in a row that one queue gets while another waits.
STREAK = 0.5


class RedeliveryTurn:
    """Which queue may hand out a redelivered message: one queue after another, each for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._last: object = None
        self._since = 0.0
        self._others_wait = False
        self._kept_for_others_until = 0.0

    def is_free(self, queue: object) -> bool:
        """Whether a queue could hand out a message now."""
        is_kept = queue is self._last and time.monotonic() < self._kept_for_others_until
        return not self._taken and not is_kept

    def begin(self, queue: object) -> bool:
        """Whether a queue may hand out a message. After True, `end` must follow."""
        with self._lock:
            if not self.is_free(queue):
                self._others_wait |= queue is not self._last
                return False
            if queue is not self._last:
                self._last, self._since = queue, time.monotonic()
                self._others_wait = False
            self._taken = True
            return True

    def end(self, messages: Sequence[ReceivedMessage]) -> bool:
        """Messages that were handed out together, redelivered or not, are settled or given back. Returns whether the
        turn is free now."""
        if not messages or not messages[0].redelivered:
            return False
        with self._lock:
            self._taken = False
            if self._others_wait and (now := time.monotonic()) >= self._since + STREAK:
                self._since, self._kept_for_others_until = now, now + 2 * POLL
        return True


#: The turn of this process.
turn = RedeliveryTurn()


class RedeliveredQueue(PriorityQueue):
    """The redelivered messages of one queue."""

    def can_take(self) -> bool:
        """Whether `take_alone` would return a message."""
        return bool(self) and turn.is_free(self)

    def take_alone(self) -> ReceivedMessage | None:
        """The next message, if it is this queue's turn; `settled` must follow."""
        return self.take() if self and turn.begin(self) else None

    def shorten(self, timeout: float) -> float:
        """`timeout` in seconds, or less while messages wait here: the turn becomes free without a signal."""
        return min(timeout, POLL) if self else timeout

    @staticmethod
    def settled(messages: Sequence[ReceivedMessage]) -> bool:
        """Messages that were handed out together, redelivered or not, are settled or given back. Returns whether the
        next one may be taken."""
        return turn.end(messages)
