"""Dead letters: given up deliveries, found, told apart by their reasons, requeued or discarded by a person."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.db import connections, router, transaction
from django.db.models import Count, Max, Min, QuerySet

from ..db.dialect import DeliveryKey, database_now
from ..models import DeadLetter, Delivery, OutboxMessage, StoredEvent, Straggler
from ..subscription import matches

#: Dead letters decided upon in one transaction.
CHUNK = 1_000

#: Told how many more have been looked at.
Advance = Callable[[int], None]

#: What differs between two reasons of the same kind: numbers and ids.
PARTICULARS = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d+", re.IGNORECASE)


@dataclass(kw_only=True)
class Group:
    """Dead letters of one subscriber whose reasons differ in numbers and ids alone; `example` is the newest one's id,
    `reason` its reason."""

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
    """The dead letters that fit all that is given: ids, a subscriber, a topic or pattern, an event, a part of the
    reason, the time they were given up (from `since`, before `until`). Bytes that cannot be read have no topic."""
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
    for name, reason, count, first, last, newest in rows.iterator(chunk_size=CHUNK):
        group = found.setdefault(
            (name, PARTICULARS.sub("…", reason)),
            Group(subscriber=name, reason=reason, count=0, first=first, last=last, example=newest),
        )
        group.count += count
        group.first, group.last = min(group.first, first), max(group.last, last)
        if newest > group.example:
            group.example, group.reason = newest, reason
    return sorted(found.values(), key=lambda group: (-group.count, group.subscriber, group.reason))


def requeue(chosen: QuerySet, *, advance: Advance | None = None) -> tuple[int, int]:
    """Owe dead letters once more, their attempts counted from the start; in chunks, each a transaction.

    Returns how many were requeued, and how many were kept because their event is not in the log (undecodable bytes).
    """
    requeued = kept = 0

    def decide(dead: list[Delivery]) -> None:
        nonlocal requeued, kept
        known = dict(
            StoredEvent.objects.filter(event_id__in=[one.event_id for one in dead]).values_list("event_id", "priority")
        )
        alive = [one for one in dead if one.event_id in known]
        now = database_now(connections[router.db_for_write(Delivery)])
        Delivery.objects.filter(pk__in=[one.pk for one in alive]).update(state="retrying", attempts=0)
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
                for one in alive
            ]
        )
        Straggler.objects.watch(
            [DeliveryKey(one.event_id, one.subscriber, one.run) for one in alive],
            after=StoredEvent.objects.newest(),
            now=now,
        )
        requeued += len(alive)
        kept += len(dead) - len(alive)

    _in_chunks(chosen, decide, advance)
    return requeued, kept


def discard(chosen: QuerySet, *, advance: Advance | None = None) -> int:
    """Give dead letters up for good, in chunks, each a transaction; they stay in the inbox as discarded. Returns how
    many."""
    count = 0

    def decide(dead: list[Delivery]) -> None:
        nonlocal count
        count += Delivery.objects.filter(pk__in=[one.pk for one in dead]).update(state="discarded")

    _in_chunks(chosen, decide, advance)
    return count


def _in_chunks(chosen: QuerySet, decide: Callable[[list[Delivery]], None], advance: Advance | None) -> None:
    """Hand over those of the chosen that are dead, by id and under lock, each chunk in a transaction of its own. What
    dies meanwhile is left alone."""
    newest, last = chosen.order_by().aggregate(newest=Max("pk"))["newest"] or 0, 0
    while True:
        with transaction.atomic(using=router.db_for_write(Delivery)):
            waiting = chosen.filter(state="dead", pk__gt=last, pk__lte=newest).order_by("pk").defer("body")
            dead = list(waiting.select_for_update()[:CHUNK])
            if not dead:
                return
            decide(dead)
        last = dead[-1].pk
        if advance:
            advance(len(dead))
