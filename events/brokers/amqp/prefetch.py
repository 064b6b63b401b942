"""Prefetch: how many messages a consumer of RabbitMQ may hold at a time, in number and in bytes."""

from __future__ import annotations

from ...pool import get_pool
from ...subscription import Subscription
from ..contract import GROUPS_AHEAD

#: Bytes of messages that a process may hold, all subscribers together; each has an equal share. RabbitMQ counts
#: messages only, so the number of messages follows from the size of those that arrived.
HELD_BYTES = 64 * 1024 * 1024
#: The first number: until a message has arrived, nobody knows how large they are.
FIRST = 2
#: How many times larger the next number may be.
GROWTH = 16
#: What is remembered of the largest message with each further one.
MEMORY = 0.99


def prefetch_for(subscription: Subscription, prefetch: int) -> int:
    """Messages that may be in this process at a time: enough to keep its threads busy, and no more than the slots of
    its pool, and one that becomes free next, can hold. The others wait in the broker.

    After the pool has grown, more arrive from the next channel on.
    """
    slots = get_pool().capacity + 1
    groups = max(GROUPS_AHEAD, subscription.concurrency or 0)
    return max(min(prefetch, slots), min(groups, slots) * subscription.group_size)


class PrefetchWindow:
    """The number of messages that one channel may hold: few at first, then `most`, and fewer while they are large.

    budget: bytes that they may have together. One message may always be held. A sudden change from small to large
    messages is noticed when the first of them arrives; those that are on their way by then arrive, too.
    """

    def __init__(self, most: int, *, budget: int) -> None:
        self._most = most
        self._budget = budget
        self._largest = 0.0
        self._messages = 0
        self._bytes = 0
        self.size = min(FIRST, most)

    def arrived(self, size: int) -> None:
        """A message of `size` bytes is held from now on."""
        self._messages += 1
        self._bytes += size
        self._largest = max(float(size), self._largest * MEMORY)

    def settled(self, messages: int, size: int) -> None:
        """Messages of `size` bytes together are held no more."""
        self._messages -= messages
        self._bytes -= size

    def next_size(self) -> int:
        """The number that it should have now. It grows only when it is used up, and shrinks only when it matters."""
        fits = max(1, min(self._most, int(self._budget / max(self._largest, 1.0))))
        if fits > self.size:
            return min(fits, self.size * GROWTH) if self._messages >= self.size else self.size
        return fits if self._bytes > self._budget or fits <= self.size // 2 else self.size
