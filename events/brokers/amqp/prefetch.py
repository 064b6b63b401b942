"""Prefetch: how many messages a consumer of RabbitMQ may hold at a time."""

from __future__ import annotations

from ...pool import get_pool
from ...subscription import Subscription
from ..contract import GROUPS_AHEAD


def prefetch_for(subscription: Subscription, prefetch: int) -> int:
    """Messages that may be in this process at a time: enough to keep its threads busy, and no more than the slots of
    its pool, and one that becomes free next, can hold. The others wait in the broker.

    After the pool has grown, more arrive from the next connection on: RabbitMQ cannot change the number of a consumer
    that exists.
    """
    slots = get_pool().capacity + 1
    return max(min(prefetch, slots), min(GROUPS_AHEAD, slots) * subscription.group_size)
