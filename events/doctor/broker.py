"""Broker: does its server answer, take messages, and have the queues that the code needs?"""

from __future__ import annotations

from collections.abc import Iterator

import dramatiq

from ..brokers.contract import EventBroker, Topology, TopologyError
from ..finding import Finding, Severity
from ..repair.topology import survey
from .examination import CannotExamineError, examination


@examination("Broker")
def server() -> Iterator[Finding]:
    """What the broker itself finds at its server."""
    broker = dramatiq.get_broker()
    if isinstance(broker, EventBroker):
        yield from broker.examine()


@examination("Queues", needs_database=True)
def queues() -> Iterator[Finding]:
    """Each subscriber has its queue, and somebody consumes it."""
    broker = dramatiq.get_broker()
    topology: Topology | None = broker.topology if isinstance(broker, EventBroker) else None
    if topology is None:
        return
    try:
        found = survey(topology)
    except TopologyError:
        raise CannotExamineError("the broker does not answer") from None
    ours = [queue for queue in found if not queue.orphan]
    if missing := [queue.name for queue in ours if queue.messages is None]:
        yield Finding(
            problem=f"Queues are missing: {', '.join(missing)}. What is for their subscribers waits in the outbox.",
            cure="Run `manage.py topology declare`, or start a worker that may make them.",
        )
    if idle := [
        queue.name for queue in found if queue.messages is not None and not queue.consumers and not queue.orphan
    ]:
        yield Finding(
            problem=f"Nobody consumes these queues: {', '.join(idle)}.",
            cure="Start `manage.py rundramatiq`.",
        )
    if stale := [queue.name for queue in found if queue.stale and queue.messages is not None]:
        yield Finding(
            problem=f"These queues get events that the code no longer subscribes: {', '.join(stale)}.",
            cure="Run `manage.py topology`, which names the patterns; then `manage.py topology unbind`.",
            severity=Severity.WARNING,
        )
