"""PriorityQueue: messages that wait, the urgent first, then in order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator

from ..inbox.message import ReceivedMessage


class PriorityQueue:
    """Messages by priority, 9 first. Not safe for several threads by itself."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, ReceivedMessage]] = []
        self._firsts, self._lasts = itertools.count(-1, -1), itertools.count()

    def put(self, message: ReceivedMessage, *, first: bool = False) -> None:
        """Add a message behind those of its priority, or before them."""
        place = next(self._firsts if first else self._lasts)
        heapq.heappush(self._heap, (-message.priority, place, message))

    def take(self) -> ReceivedMessage:
        """Remove and return the next message. Raises IndexError on an empty queue."""
        return heapq.heappop(self._heap)[2]

    def empty(self) -> list[ReceivedMessage]:
        """Remove and return all messages, in any order."""
        messages = list(self)
        self._heap.clear()
        return messages

    def __iter__(self) -> Iterator[ReceivedMessage]:
        return (message for _, _, message in self._heap)

    def __len__(self) -> int:
        return len(self._heap)
