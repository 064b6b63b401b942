"""For tests: what was emitted, and delivering it inline through the very path the workers use."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeVar

from django.db import connections, router, transaction

from .db.dialect import database_now
from .event import Event
from .inbox.delivery import DeliveryFailed, process
from .inbox.message import Arrival
from .inbox.retry import record
from .models import OutboxMessage, StoredEvent
from .subscription import interested_in, subscriptions

E = TypeVar("E", bound=Event)


def emitted(event: type[E]) -> list[E]:
    """The events of a class emitted in this test, oldest first."""
    stored = StoredEvent.objects.filter(topic=event.topic).order_by("sequence")
    return [one.envelope().event(attempt=1, run=0) for one in stored]  # type: ignore[misc]


def deliver(*, times: int = 1) -> int:
    """Relay and run all subscribers inline until nothing is left; returns how many deliveries were made.

    Retries run at once, without their backoff; an event emitted with a delay waits until it is due. Callbacks that
    subscribers leave to on_commit run, also inside a TestCase. `times=2` delivers everything twice, to show that once
    is enough.
    """
    made = 0
    while work := take():
        for name, arrivals in work.items():
            subscription = subscriptions[name]
            for start in range(0, len(arrivals), subscription.together):
                part = arrivals[start : start + subscription.together]
                for _ in range(times):
                    run(name, part)
                made += len(part)
    return made


def take() -> dict[str, list[Arrival]]:
    """All that is owed now, by subscriber, leaving the outbox: to be given to `run` in whatever order and how often."""
    with transaction.atomic():
        now = database_now(connections[router.db_for_read(OutboxMessage)])
        rows = OutboxMessage.objects.order_by("-priority", "id").owed()
        taken = [row for row in rows if row.subscriber or row.due is None or row.due <= now]
        work: dict[str, list[Arrival]] = defaultdict(list)
        for row in taken:
            names = [row.subscriber] if row.subscriber else [one.name for one in interested_in(row.envelope.topic)]
            for name in names:
                work[name].append(
                    Arrival(envelope=row.envelope, body=row.envelope.encode(), run=row.run, attempt=row.attempt)
                )
        OutboxMessage.objects.filter(pk__in=[row.pk for row in taken]).delete()
    return dict(work)


def run(name: str, arrivals: list[Arrival]) -> None:
    """Deliver these to a subscriber, together."""
    connection = connections[router.db_for_write(OutboxMessage)]
    before = len(connection.run_on_commit)
    try:
        process(subscriptions[name], arrivals)
    except DeliveryFailed as failed:
        record(failed)
    # In a TestCase the wrapping transaction never commits, so that what was left to its commit is run here.
    # A rollback replaces the list, so that it is read anew.
    connection.run_on_commit, left = connection.run_on_commit[:before], connection.run_on_commit[before:]
    for entry in left:
        entry[1]()
