"""Missing: finds the deliveries that one subscriber should have had, and heals those that are lost.

A check has two steps. `fill_watchlist` reads the log from the subscription's cursor (`accounted`) on, and `heal_lost`
looks at the watchlist:

| an event that the subscriber wants       | `fill_watchlist`           | `heal_lost`                             |
|------------------------------------------|----------------------------|-----------------------------------------|
| has a final outcome                      | the cursor goes past it    | it is taken off the watchlist           |
| has none, and its turn may still come    | the cursor stops before it |                                         |
| has none, and its turn has passed        | it is put on the watchlist |                                         |
| is in the outbox                         |                            | it stays; its time starts anew   |
| is in no outbox, its turn may still come |                            | it stays                                |
| is in no outbox, its turn has passed     |                            | it is lost, and is healed |

Its turn has passed when, for longer than `patience`, a later event of the same priority is done or the queue is empty.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import F, Max, QuerySet, Subquery, Value
from django.db.models.expressions import OuterRef
from django.db.models.functions import Coalesce

from ..db.commit import committed
from ..db.dialect import DeliveryKey
from ..inbox.models import Delivery
from ..outbox.models import OutboxMessage, StoredEvent
from .event_filter import EventFilter
from .models import Straggler, Subscription

#: The pause before a delivery is healed a second time. It doubles each time, up to MAX_HEAL_PAUSE.
HEAL_PAUSE = dt.timedelta(minutes=5)
MAX_HEAL_PAUSE = dt.timedelta(days=1)
#: Lines of the log that one statement reads, and statements per pass and subscriber.
LINES_PER_STATEMENT = 5_000
STATEMENTS_PER_PASS = 20
#: Deliveries per pass and subscriber that are put on the watchlist, checked and healed, at most.
MAX_PER_PASS = 1_000
#: Ids in one statement.
IDS_PER_STATEMENT = 200


@dataclass(frozen=True, kw_only=True)
class Healed:
    """What one pass healed for one subscriber: the number of deliveries; their first and last event in the log."""

    subscriber: str
    count: int
    first: uuid.UUID
    last: uuid.UUID


class Lost(NamedTuple):
    """A lost delivery: its event, its row on the watchlist, and the attempt that it is at."""

    event: StoredEvent
    straggler: Straggler
    attempt: int


class SubscriberCheck:
    """One check of one subscriber. idle: when passes found its queue idle, without a break until now."""

    def __init__(
        self,
        row: Subscription,
        *,
        stable_offset: int,
        now: dt.datetime,
        patience: dt.timedelta,
        idle: Sequence[dt.datetime],
    ) -> None:
        self._row = row
        self._filter = EventFilter(row)
        self._stable_offset = stable_offset
        self._now = now
        self._before = now - patience
        self._idle = bool(idle)
        #: The latest time, older than `patience`, at which the queue was idle.
        self._idle_before = max((time for time in idle if time <= self._before), default=None)
        self._end = StoredEvent.objects.newest()
        #: For each priority the latest event that was done before `patience`; None until it was read.
        self._done: dict[int, int] | None = None

    def fill_watchlist(self) -> None:
        """Read on in the log:

        1. Read the next stride of the log, up to the stable offset: the events that have no final outcome.
        2. Those whose turn has passed go on the watchlist, in order, up to the first whose turn may still come.
        3. Move the cursor behind them, in the same transaction.
        4. Stop at an event whose turn may still come, at the stable offset, or at the limit of a pass.
        """
        cursor, entered = max(self._row.since, self._row.accounted), 0
        topics = self._filter.topics()
        for _ in range(STATEMENTS_PER_PASS):
            if cursor >= self._stable_offset or entered >= MAX_PER_PASS:
                return
            upper = self._end_of_stride(cursor)
            missing = [
                line
                for line in _without_outcome(self._row.name, topics, cursor, upper)
                if self._filter(line.topic, line.sequence)
            ]
            passed = self._passed(missing, cursor, upper)[: MAX_PER_PASS - entered]
            if len(passed) < len(missing):
                upper = missing[len(passed)].sequence - 1
            with committed(using=router.db_for_write(Straggler)):
                keys = [DeliveryKey(line.event_id, self._row.name, 0) for line in passed]
                since = _owed_since(self._row.name, passed, self._now)
                Straggler.objects.watch(keys, after=self._end, now=self._now, owed_since=since)
                Subscription.objects.filter(pk=self._row.pk, accounted__lt=upper).update(accounted=upper)
            if len(passed) < len(missing):
                return
            cursor, entered = upper, entered + len(passed)

    def heal_lost(self) -> Healed | None:
        """Check the watchlist, first the deliveries that were not checked for the longest time, and heal the lost
        ones."""
        with committed(using=router.db_for_write(Straggler)):
            waiting = Straggler.objects.filter(subscriber=self._row.name).order_by("checked_at", "pk")
            if connections[router.db_for_write(Straggler)].features.has_select_for_update_skip_locked:
                waiting = waiting.select_for_update(skip_locked=True)
            stragglers = list(waiting[:MAX_PER_PASS])
            lost: list[Lost] = []
            for start in range(0, len(stragglers), IDS_PER_STATEMENT):
                lost += self._lost(stragglers[start : start + IDS_PER_STATEMENT])
            if not lost:
                return None
            self._heal(lost)
        ordered = sorted(lost, key=lambda one: one.event.sequence)
        return Healed(
            subscriber=self._row.name, count=len(lost), first=ordered[0].event.event_id, last=ordered[-1].event.event_id
        )

    def _end_of_stride(self, cursor: int) -> int:
        lines = StoredEvent.objects.filter(sequence__gt=cursor, sequence__lte=self._stable_offset).order_by("sequence")
        return (
            lines.values_list("sequence", flat=True)[LINES_PER_STATEMENT - 1 : LINES_PER_STATEMENT].first()
            or self._stable_offset
        )

    def _passed(self, missing: Sequence[StoredEvent], cursor: int, upper: int) -> list[StoredEvent]:
        """The first of these events, in order, up to one whose turn may still come."""
        if not missing:
            return []
        done = dict(self._newest_done())
        for priority, sequence in self._done_in(cursor, upper).items():
            done[priority] = max(sequence, done.get(priority, 0))
        self._done = done
        passed: list[StoredEvent] = []
        for line in missing:
            turn_over = self._idle or line.sequence < done.get(line.priority, 0)
            if line.time > self._before or not turn_over:
                break
            passed.append(line)
        return passed

    def _newest_done(self) -> dict[int, int]:
        if self._done is None:
            self._done = self._done_in(self._end - LINES_PER_STATEMENT, self._end)
        return self._done

    def _done_in(self, lower: int, upper: int) -> dict[int, int]:
        """For each priority, the latest event in a part of the log that was done before `patience`."""
        deliveries = Delivery.objects.filter(event_id=OuterRef("event_id"), subscriber=self._row.name, run=0)
        lines = (
            _part_of_log(self._row.name, self._filter.topics(), lower, upper)
            .alias(done_at=Subquery(deliveries.filter(state="done").values("at")[:1]))
            .filter(done_at__lte=self._before)
        )
        found = lines.order_by().values_list("priority").annotate(Max("sequence"))
        return dict(found)

    def _lost(self, stragglers: Sequence[Straggler]) -> list[Lost]:
        """The lost ones; the others are taken off the watchlist or noted as checked (see the table above)."""
        ids = [one.event_id for one in stragglers]
        events = {event.event_id: event for event in StoredEvent.objects.filter(event_id__in=ids).defer("data")}
        outcomes = {
            (one.event_id, one.run): one
            for one in Delivery.objects.filter(event_id__in=ids, subscriber=self._row.name).defer("body")
        }
        outbox = _in_outbox(ids, self._row.name)
        settled: list[int] = []
        in_outbox: list[int] = []
        lost: list[Lost] = []
        for one in stragglers:
            event, outcome = events.get(one.event_id), outcomes.get((one.event_id, one.run))
            if event is None or (outcome is not None and outcome.state != "retrying"):
                settled.append(one.pk)
            elif (one.event_id, one.run) in outbox:
                in_outbox.append(one.pk)
            elif self._turn_has_passed(one, event):
                lost.append(Lost(event, one, 1 + (outcome.attempts if outcome else 0)))
        Straggler.objects.filter(pk__in=settled).delete()
        Straggler.objects.filter(pk__in=[one.pk for one in stragglers]).update(checked_at=self._now)
        Straggler.objects.filter(pk__in=in_outbox).update(owed_at=self._now, after=self._end)
        return lost

    def _turn_has_passed(self, one: Straggler, event: StoredEvent) -> bool:
        pause = min(MAX_HEAL_PAUSE, HEAL_PAUSE * 2 ** min(one.healed - 1, 20)) if one.healed else dt.timedelta(0)
        if one.owed_at > self._before or one.owed_at + pause > self._now:
            return False
        if self._idle_before is not None and one.owed_at <= self._idle_before:
            return True
        return one.after < self._newest_done().get(event.priority, 0)

    def _heal(self, lost: Sequence[Lost]) -> None:
        OutboxMessage.objects.bulk_create(
            [
                OutboxMessage(
                    event_id=event.event_id,
                    subscriber=self._row.name,
                    run=one.run,
                    attempt=attempt,
                    due=self._now,
                    priority=event.priority,
                )
                for event, one, attempt in lost
            ],
            batch_size=500,
            ignore_conflicts=True,
        )
        Straggler.objects.filter(pk__in=[one.pk for _, one, _ in lost]).update(
            healed=F("healed") + 1, owed_at=self._now, after=self._end
        )


def _part_of_log(name: str, topics: Sequence[str], lower: int, upper: int) -> QuerySet[StoredEvent]:
    return StoredEvent.objects.owed_to(name).filter(sequence__gt=lower, sequence__lte=upper, topic__in=topics)


def _without_outcome(name: str, topics: Sequence[str], lower: int, upper: int) -> list[StoredEvent]:
    """The events in a part of the log that have no final delivery at a subscriber, in order.

    A subquery per line: it uses the index of the inbox, however large the inbox is.
    """
    deliveries = Delivery.objects.filter(event_id=OuterRef("event_id"), subscriber=name, run=0)
    lines = _part_of_log(name, topics, lower, upper).alias(
        outcome=Coalesce(Subquery(deliveries.values("state")[:1]), Value("retrying"))
    )
    return list(lines.filter(outcome="retrying").order_by("sequence").defer("data"))


def _owed_since(name: str, lines: Sequence[StoredEvent], now: dt.datetime) -> dict[uuid.UUID, dt.datetime]:
    """From when on events are owed: since they were emitted; those that are to wait, from when they are due."""
    since = {line.event_id: line.time for line in lines}
    if OutboxMessage.objects.delayed(now).exists():
        ids: list[Any] = list(since)
        for start in range(0, len(ids), IDS_PER_STATEMENT):
            rows = OutboxMessage.objects.delayed(now).filter(event_id__in=ids[start : start + IDS_PER_STATEMENT])
            for subscriber in ("", name):  # each has an index of its own
                first = rows.filter(subscriber=subscriber, run=0, attempt=1)
                since |= {row.event_id: row.due for row in first if row.due is not None}
    return since


def _in_outbox(ids: Sequence[Any], name: str) -> set[tuple[Any, int]]:
    """(event id, run) of the events that the outbox has for a subscriber: in a row of its own, or in one for all."""
    rows = OutboxMessage.objects.filter(event_id__in=ids)
    own = rows.filter(subscriber=name).values_list("event_id", "run")
    delayed = rows.filter(subscriber="", due__isnull=False).values_list("event_id", "run")
    new = rows.filter(subscriber="", due__isnull=True, claimed=False).values_list("event_id", "run")
    return {*own, *delayed, *new}
