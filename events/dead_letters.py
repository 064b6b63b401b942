"""Dead letters: given up deliveries, requeued or discarded by a person."""

from __future__ import annotations

from django.db import connections, router, transaction
from django.db.models import QuerySet

from events.models import Delivery, OutboxMessage, StoredEvent
from events.querysets import database_now


def requeue(chosen: QuerySet) -> tuple[int, int]:
    """Owe dead letters once more, their attempts counted from the start.

    Returns how many were requeued, and how many were kept because their event is not in the log (undecodable bytes).
    """
    with transaction.atomic(using=router.db_for_write(Delivery)):
        dead = list(chosen.filter(state="dead").select_for_update().order_by("id"))
        known = set(
            StoredEvent.objects.filter(event_id__in=[one.event_id for one in dead]).values_list("event_id", flat=True)
        )
        alive = [one for one in dead if one.event_id in known]
        Delivery.objects.filter(pk__in=[one.pk for one in alive]).update(state="retrying", attempts=0)
        now = database_now(connections[router.db_for_write(Delivery)])
        OutboxMessage.objects.schedule(
            [
                OutboxMessage(event_id=one.event_id, subscriber=one.subscriber, run=one.run, attempt=1, due=now)
                for one in alive
            ]
        )
    return len(alive), len(dead) - len(alive)


def discard(chosen: QuerySet) -> int:
    """Give dead letters up for good; they stay in the inbox as discarded. Returns how many."""
    return chosen.filter(state="dead").update(state="discarded")
