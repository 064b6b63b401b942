"""Topology: the queues at the broker's server, compared with the subscriptions of this code."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db import router

from ..brokers.contract import Topology, TopologyError
from ..db.commit import committed
from ..subscription import subscriptions
from .announce import announce, bindings_of
from .models import Subscription


@dataclass(kw_only=True)
class Queue:
    """One queue and its subscriber.

    patterns: bound patterns that the code has. stale: bound patterns that it no longer has. orphan: no code subscribes
    to the queue any more. messages, consumers: from the server; None if the queue does not exist there. Messages that
    workers hold and rates per second: None unless the server tells.
    """

    name: str
    subscriber: str
    patterns: list[str]
    stale: list[str]
    orphan: bool
    messages: int | None = None
    consumers: int | None = None
    unacknowledged: int | None = None
    published_per_second: float | None = None
    acknowledged_per_second: float | None = None


def survey(topology: Topology) -> list[Queue]:
    """Every queue that the code has or the Subscription table remembers. Raises TopologyError."""
    queues = {
        one.queue: Queue(name=one.queue, subscriber=one.name, patterns=list(one.patterns), stale=[], orphan=False)
        for one in subscriptions.values()
    }
    for row in Subscription.objects.all():
        for name, bound in bindings_of(row).items():
            queue = queues.setdefault(name, Queue(name=name, subscriber=row.name, patterns=[], stale=[], orphan=True))
            queue.stale += sorted(set(bound) - set(queue.patterns))
    for name, size in topology.sizes(queues).items():
        if size is not None:
            queues[name] = replace(queues[name], **size._asdict())
    return sorted(queues.values(), key=lambda queue: (queue.orphan, queue.name))


def declare_all(topology: Topology) -> int:
    """Make the exchange and all queues and bindings of this code, unless they exist, and announce the subscriptions;
    returns the number of queues. Raises TopologyError; some queues may have been made by then."""
    topology.declare(list(subscriptions.values()))
    announce()
    return len(subscriptions)


def unbind(topology: Topology, queue: Queue) -> None:
    """Remove the stale bindings of a queue. Raises TopologyError."""
    topology.unbind(queue.name, queue.stale if queue.messages is not None else ())
    _forget(queue, queue_too=queue.orphan and queue.messages is None)


def delete(topology: Topology, queue: Queue, *, force: bool = False) -> None:
    """Delete an orphan, with `force` even one that has messages. The subscription is forgotten with its last queue.

    Raises TopologyError if the queue is in use, is no orphan or, without `force`, is not empty.
    """
    if not queue.orphan:
        raise TopologyError(f"{queue.name} is the queue of {queue.subscriber}, which is still in the code.")
    topology.delete(queue.name, force=force)
    _forget(queue, queue_too=True)


def _forget(queue: Queue, *, queue_too: bool) -> None:
    with committed(using=router.db_for_write(Subscription)):
        row = Subscription.objects.select_for_update().filter(name=queue.subscriber).first()
        if row is None:
            return
        row.bindings = bindings_of(row)
        kept = {p: since for p, since in row.bindings.get(queue.name, {}).items() if p not in queue.stale}
        row.bindings[queue.name] = kept
        if queue_too:
            del row.bindings[queue.name]
        if not row.bindings and row.name not in subscriptions:
            row.delete()
        else:
            row.save(update_fields=["bindings"])
