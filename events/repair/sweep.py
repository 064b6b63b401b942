"""Sweep: takes the earlier bytes of redacted events out of queues, and out of dead letters of refused bytes.

1. The broker takes their messages out of each queue that may have them; before they are gone, their deliveries are
   owed again from the redacted log.
2. Dead letters whose bytes name such an event, and whose own id is another (they were refused), lose their bytes.
3. The row of the event goes, once a pass has done this more than a minute after it was redacted: a relay may have been
   publishing the earlier bytes at that moment.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Collection

from django.db import connections, router

from ..brokers.contract import EventBroker
from ..db.commit import committed
from ..db.dialect import database_now
from ..inbox.message import ReceivedMessage
from ..inbox.models import Delivery, StaleEvent
from ..inbox.quotes import ERASED
from ..logger import get_logger
from ..outbox.models import OutboxMessage, StoredEvent
from ..topics import matches
from .announce import bindings_of
from .models import Subscription

log = get_logger("events.sweep")

#: How long after an event was redacted its earlier bytes may still be published.
IN_FLIGHT = dt.timedelta(minutes=1)
#: How long a queue may stay unsearched whose subscriber has an outcome for every redacted event.
SECOND_COPIES = dt.timedelta(minutes=10)
#: Redacted events in one pass, at most.
EVENTS_PER_PASS = 2_000
#: Dead letters that one statement reads.
LETTERS_PER_STATEMENT = 200
EVENT_ID = re.compile(rb'"id"\s*:\s*"([0-9a-fA-F-]{36})"')


def sweep(broker: EventBroker, *, in_flight: dt.timedelta = IN_FLIGHT) -> int:
    """One pass; returns how many deliveries were owed again. Raises ConnectionError, and what the database raises."""
    stale = list(StaleEvent.objects.order_by("at", "pk")[:EVENTS_PER_PASS])
    if not stale:
        return 0
    now = database_now(connections[router.db_for_write(StaleEvent)])
    owed, is_through = 0, True
    for row in Subscription.objects.order_by("name") if not broker.in_process else ():
        for queue, bound in bindings_of(row).items():
            patterns = {*bound, *row.patterns}
            ids = {one.event_id for one in stale if any(matches(pattern, one.topic) for pattern in patterns)}
            if not ids or broker.idle([queue]):
                continue
            is_recent = any(one.at + SECOND_COPIES > now for one in stale if one.event_id in ids)
            if is_recent and not _unfinished(row.name, ids):
                is_through = False  # at most a second copy waits; soon enough the queue is empty for a moment
                continue
            owing = _Owing(row.name)
            is_through &= broker.take_out(queue, ids, owe=owing)
            owed += owing.count
    _erase_refused({str(one.event_id) for one in stale})
    if is_through:
        old = [one for one in stale if one.at + in_flight <= now]
        for one in old:  # redacted once more meanwhile: it stays
            StaleEvent.objects.filter(pk=one.pk, at=one.at).delete()
    if owed:
        log.info("owed again from the redacted log", deliveries=owed)
    return owed


def _unfinished(subscriber: str, ids: Collection[uuid.UUID]) -> bool:
    """Whether some of these events may be undelivered at a subscriber."""
    outcomes = Delivery.objects.filter(subscriber=subscriber, event_id__in=ids)
    open_ones = set(outcomes.filter(state="retrying").values_list("event_id", flat=True))
    return bool(open_ones) or outcomes.values("event_id").distinct().count() < len(ids)


class _Owing:
    """Writes the deliveries of messages to the outbox again, those without a final outcome."""

    def __init__(self, subscriber: str) -> None:
        self._subscriber = subscriber
        self.count = 0

    def __call__(self, messages: list[ReceivedMessage]) -> None:
        # Of what is not signed, run and attempt are hearsay; reconcile owes the event itself, if it is missing.
        proven = [one for one in messages if one.envelope is not None and one.claim is None]
        with committed(using=router.db_for_write(OutboxMessage)):
            now = database_now(connections[router.db_for_write(OutboxMessage)])
            ids = [one.event_id for one in proven]
            # What was pruned meanwhile is owed to nobody.
            logged = set(StoredEvent.objects.filter(event_id__in=ids).values_list("event_id", flat=True))
            final = set(
                Delivery.objects.filter(subscriber=self._subscriber, event_id__in=ids)
                .exclude(state="retrying")
                .values_list("event_id", "run")
            )
            rows = [
                OutboxMessage(
                    event_id=one.event_id,
                    subscriber=self._subscriber,
                    run=one.run,
                    attempt=one.attempt,
                    due=now,
                    priority=one.priority,
                )
                for one in proven
                if one.event_id in logged and (one.event_id, one.run) not in final
            ]
            OutboxMessage.objects.bulk_create(rows, ignore_conflicts=True)
        self.count += len(rows)


def _erase_refused(ids: Collection[str]) -> None:
    """Erase the bytes of dead letters that name one of these events and are not its own: those are in `redact`."""
    last = 0
    given_up = Delivery.objects.filter(state__in=("dead", "discarded"), body__isnull=False).order_by("pk")
    while letters := list(given_up.filter(pk__gt=last).values_list("pk", "event_id", "body")[:LETTERS_PER_STATEMENT]):
        refused = [pk for pk, event_id, body in letters if str(event_id) not in ids and _names(body, ids)]
        if refused:
            Delivery.objects.filter(pk__in=refused).update(body=b"", reason=ERASED)
        last = letters[-1][0]


def _names(body: bytes | memoryview | None, ids: Collection[str]) -> bool:
    return any(found.decode().lower() in ids for found in EVENT_ID.findall(bytes(body or b"")))
