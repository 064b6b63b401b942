"""Dead letters: deliveries that were given up, found, grouped by reason, requeued or discarded by a person."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.db import connections, router
from django.db.models import Count, Max, Min, QuerySet

from ..db.commit import committed
from ..db.dialect import DeliveryKey, database_now
from ..inbox.models import DeadLetter, Delivery
from ..outbox.models import OutboxMessage, StoredEvent
from ..topics import matches
from .models import Straggler

#: Dead letters per transaction.
ROWS_PER_CHUNK = 1_000

#: Progress callback: the number of rows processed since the last call.
Advance = Callable[[int], None]

#: Numbers and ids, which differ between two reasons of the same kind.
VARIABLE_PARTS = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d+", re.IGNORECASE)


@dataclass(kw_only=True)
class Group:
    """Dead letters of one subscriber whose reasons differ only in numbers and ids. first, last: when they were given
    up. example: the id of the newest one. reason: its reason."""

    subscriber: str
    reason: str
    count: int
    first: dt.datetime
    last: dt.datetime
    example: int


def dead_letters(
    *,
    ids: Collection[int] = (),
    subscriber: str = "",
    topic: str = "",
    event_id: uuid.UUID | None = None,
    reason: str = "",
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> QuerySet[Delivery]:
    """The dead letters that fit every given filter: ids, a subscriber, a topic or pattern, an event, a part of the
    reason, the time they were given up (from `since`, before `until`). Undecodable bytes have no topic."""
    found: QuerySet[Delivery] = DeadLetter.objects.filter(state="dead")
    if ids:
        found = found.filter(pk__in=ids)
    if subscriber:
        found = found.filter(subscriber=subscriber)
    if topic:
        topics = [one for one in StoredEvent.objects.topics() if matches(topic, one)]
        found = found.filter(event_id__in=StoredEvent.objects.filter(topic__in=topics).values("event_id"))
    if event_id:
        found = found.filter(event_id=event_id)
    if reason:
        found = found.filter(reason__icontains=reason)
    if since:
        found = found.filter(at__gte=since)
    if until:
        found = found.filter(at__lt=until)
    return found


def groups(chosen: QuerySet[Delivery]) -> list[Group]:
    """Dead letters by subscriber and kind of reason, the most frequent first."""
    found: dict[tuple[str, str], Group] = {}
    rows = chosen.order_by().values_list("subscriber", "reason").annotate(Count("id"), Min("at"), Max("at"), Max("id"))
    for name, reason, count, first, last, newest in rows.iterator(chunk_size=ROWS_PER_CHUNK):
        group = found.setdefault(
            (name, VARIABLE_PARTS.sub("…", reason)),
            Group(subscriber=name, reason=reason, count=0, first=first, last=last, example=newest),
        )
        group.count += count
        group.first, group.last = min(group.first, first), max(group.last, last)
        if newest > group.example:
            group.example, group.reason = newest, reason
    return sorted(found.values(), key=lambda group: (-group.count, group.subscriber, group.reason))


def requeue(chosen: QuerySet[Any], *, advance: Advance | None = None) -> tuple[int, int]:
    """Deliver dead letters again, with attempts counted from the start; in chunks, each a transaction.

    Returns (requeued, kept): those kept have no event in the log (undecodable bytes).
    """
    requeued = kept = 0

    def decide(dead: list[Delivery]) -> None:
        nonlocal requeued, kept
        known = dict(
            StoredEvent.objects.filter(event_id__in=[one.event_id for one in dead]).values_list("event_id", "priority")
        )
        known_dead = [one for one in dead if one.event_id in known]
        now = database_now(connections[router.db_for_write(Delivery)])
        Delivery.objects.filter(pk__in=[one.pk for one in known_dead]).update(state="retrying", attempts=0, at=now)
        OutboxMessage.objects.schedule(
            [
                OutboxMessage(
                    event_id=one.event_id,
                    subscriber=one.subscriber,
                    run=one.run,
                    attempt=1,
                    due=now,
                    priority=known[one.event_id],
                )
                for one in known_dead
            ]
        )
        Straggler.objects.watch(
            [DeliveryKey(one.event_id, one.subscriber, one.run) for one in known_dead],
            after=StoredEvent.objects.newest(),
            now=now,
        )
        requeued += len(known_dead)
        kept += len(dead) - len(known_dead)

    _in_chunks(chosen, decide, advance)
    return requeued, kept


def discard(chosen: QuerySet[Any], *, advance: Advance | None = None) -> int:
    """Give dead letters up for good, in chunks, each a transaction; they stay in the inbox as discarded. Returns their
    number."""
    count = 0

    def decide(dead: list[Delivery]) -> None:
        nonlocal count
        count += Delivery.objects.filter(pk__in=[one.pk for one in dead]).update(state="discarded")

    _in_chunks(chosen, decide, advance)
    return count


def _in_chunks(chosen: QuerySet[Any], decide: Callable[[list[Delivery]], None], advance: Advance | None) -> None:
    """Call `decide` with chunk after chunk of the chosen dead letters, in the order of their ids and under lock, each
    chunk in a transaction of its own. Letters that arrive meanwhile are left alone."""
    newest, last = chosen.order_by().aggregate(newest=Max("pk"))["newest"] or 0, 0
    while True:
        with committed(using=router.db_for_write(Delivery)):
            waiting = chosen.filter(state="dead", pk__gt=last, pk__lte=newest).order_by("pk").defer("body")
            dead = list(waiting.select_for_update()[:ROWS_PER_CHUNK])
            if not dead:
                return
            decide(dead)
        last = dead[-1].pk
        if advance:
            advance(len(dead))
