"""Testing: what a test emitted, and delivering it inline through the same path that the workers use."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeVar

from django.db import connections, router, transaction

from .db.dialect import database_now
from .event import Event
from .inbox.delivery import DeliveryFailedError, process
from .inbox.message import ReceivedMessage
from .inbox.models import Delivery
from .inbox.postpone import POSTPONED
from .inbox.retry import record_failures
from .outbox.models import OutboxMessage, StoredEvent
from .subscription import interested_in, subscriptions

E = TypeVar("E", bound=Event)


def emitted(event: type[E]) -> list[E]:
    """The events of a class emitted in this test, oldest first."""
    stored = StoredEvent.objects.filter(topic=event.topic).order_by("sequence")
    return [one.envelope().event(attempt=1, run=0) for one in stored]  # type: ignore[misc]


def deliver(*, times: int = 1) -> int:
    """Relay and run all subscribers inline until the outbox is empty; returns the number of deliveries.

    Retries run at once, without their backoff. An event that was emitted with a delay waits until it is due; one of a
    version that this code does not know waits for code that does. The on_commit callbacks of subscribers run, also
    inside a TestCase. `times=2` delivers everything twice, to show that subscribers are idempotent.
    """
    made = 0
    while work := take():
        for name, messages in work.items():
            subscription = subscriptions[name]
            for start in range(0, len(messages), subscription.group_size):
                part = messages[start : start + subscription.group_size]
                for _ in range(times):
                    run(name, part)
                made += len(part)
    return made


def take() -> dict[str, list[ReceivedMessage]]:
    """Take everything that is due out of the outbox, by subscriber: for `run`, in any order and any number of times."""
    with transaction.atomic(using=router.db_for_write(OutboxMessage)):
        now = database_now(connections[router.db_for_write(OutboxMessage)])
        rows = OutboxMessage.objects.order_by("-priority", "id").as_rows()
        taken = [row for row in rows if row.subscriber or row.due is None or row.due <= now]
        if any(row.subscriber and row.due is not None for row in taken):
            postponed = Delivery.objects.filter(state="retrying", reason__startswith=POSTPONED)
            waiting = set(postponed.values_list("event_id", "subscriber", "run"))
            taken = [
                row
                for row in taken
                if row.due is None or row.due <= now or (row.event_id, row.subscriber, row.run) not in waiting
            ]
        work: dict[str, list[ReceivedMessage]] = defaultdict(list)
        for row in taken:
            names = [row.subscriber] if row.subscriber else [one.name for one in interested_in(row.envelope.topic)]
            for name in names:
                work[name].append(
                    ReceivedMessage(envelope=row.envelope, body=row.envelope.encode(), run=row.run, attempt=row.attempt)
                )
        OutboxMessage.objects.filter(pk__in=[row.pk for row in taken]).delete()
    return dict(work)


def run(name: str, messages: list[ReceivedMessage]) -> None:
    """Deliver messages to a subscriber, as one group."""
    connection = connections[router.db_for_write(OutboxMessage)]
    before = len(connection.run_on_commit)
    try:
        process(subscriptions[name], messages)
    except DeliveryFailedError as failed:
        record_failures(failed)
    # In a TestCase the wrapping transaction never commits, so its callbacks run here. A rollback replaces the list:
    # read it again.
    connection.run_on_commit, left = connection.run_on_commit[:before], connection.run_on_commit[before:]
    for entry in left:
        entry[1]()
