"""Suspects: messages that were delivered before, without an outcome; any of them may be what ended its worker.

One at a time is under way in a process, so that the next end is charged to the one that ran alone, and no thread waits
for its turn: fresh messages go past.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from events.arrival import Arrival

#: How soon a queue looks again whether it is the turn of its suspect, in seconds.
POLL = 0.02

_turn = threading.Lock()


def begin() -> bool:
    """Whether one may be handed out now; if so, `end` is to follow."""
    return _turn.acquire(blocking=False)


def is_the_turn_taken() -> bool:
    """Whether one is under way."""
    return _turn.locked()


def end(arrivals: Sequence[Arrival]) -> None:
    """These were settled or given back, suspects or not."""
    if arrivals[0].redelivered:
        _turn.release()
