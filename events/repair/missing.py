"""Overtaken: what one subscriber should have had and has not, though its turn has passed; entered among the
stragglers, and owed again."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections, router, transaction
from django.db.models import F, Max, QuerySet, Subquery, Value
from django.db.models.expressions import OuterRef
from django.db.models.functions import Coalesce

from ..db.dialect import DeliveryKey
from ..models import Delivery, OutboxMessage, StoredEvent, Straggler, Subscription
from .announce import Wanted

#: The pause before a delivery is healed a second time; it doubles with each further time, up to the longest.
AGAIN = dt.timedelta(minutes=5)
LONGEST = dt.timedelta(days=1)
#: Lines of the log looked at in one statement, and how many of those per pass and subscriber.
STRIDE = 5_000
STRIDES = 20
#: Stragglers that one pass enters, checks and heals per subscriber.
MOST = 1_000
#: Ids in one statement.
LOOKUP = 200


@dataclass(frozen=True, kw_only=True)
class Healed:
    """What one pass did for one subscriber: how many deliveries it owed again, of them the first and last event in the
    log."""

    subscriber: str
    count: int
    first: uuid.UUID
    last: uuid.UUID


class Pass:
    """One look at one subscriber."""

    def __init__(
        self,
        row: Subscription,
        *,
        settled: int,
        now: dt.datetime,
        patience: dt.timedelta,
        idle: Sequence[dt.datetime],
    ) -> None:
        self._row = row
        self._wanted = Wanted(row)
        self._settled = settled
        self._now = now
        self._before = now - patience
        self._idle = bool(idle)
        #: The last look that found the queue idle and since when long enough has passed.
        self._idle_before = max((look for look in idle if look <= self._before), default=None)
        self._end = StoredEvent.objects.newest()
        self._done: dict[int, int] | None = None

    def account(self) -> None:
        """Move the subscription's cursor over what has its outcome and what others have overtaken; enter the
        latter among the stragglers."""
        cursor, entered = max(self._row.since, self._row.accounted), 0
        topics = self._wanted.topics()
        for _ in range(STRIDES):
            if cursor >= self._settled or entered >= MOST:
                return
            upper = self._stride(cursor)
            missing = [
                line
                for line in _without_outcome(self._row.name, topics, cursor, upper)
                if self._wanted(line.topic, line.sequence)
            ]
            passed = self._passed(missing, cursor, upper)[: MOST - entered]
            if len(passed) < len(missing):
                upper = missing[len(passed)].sequence - 1
            with transaction.atomic(using=router.db_for_write(Straggler)):
                keys = [DeliveryKey(line.event_id, self._row.name, 0) for line in passed]
                Straggler.objects.watch(keys, after=self._end, now=self._now)
                Subscription.objects.filter(pk=self._row.pk, accounted__lt=upper).update(accounted=upper)
            if len(passed) < len(missing):
                return
            cursor, entered = upper, entered + len(passed)

    def check(self) -> Healed | None:
        """Look after the stragglers, those first that were not looked after for longest."""
        with transaction.atomic(using=router.db_for_write(Straggler)):
            waiting = Straggler.objects.filter(subscriber=self._row.name).order_by("checked_at", "pk")
            if connections[router.db_for_write(Straggler)].features.has_select_for_update_skip_locked:
                waiting = waiting.select_for_update(skip_locked=True)
            stragglers = list(waiting[:MOST])
            lost: list[tuple[StoredEvent, Straggler, int]] = []
            for start in range(0, len(stragglers), LOOKUP):
                lost += self._lost(stragglers[start : start + LOOKUP])
            if not lost:
                return None
            self._heal(lost)
        ordered = sorted(lost, key=lambda one: one[0].sequence)
        return Healed(
            subscriber=self._row.name, count=len(lost), first=ordered[0][0].event_id, last=ordered[-1][0].event_id
        )

    def _stride(self, cursor: int) -> int:
        lines = StoredEvent.objects.filter(sequence__gt=cursor, sequence__lte=self._settled).order_by("sequence")
        return lines.values_list("sequence", flat=True)[STRIDE - 1 : STRIDE].first() or self._settled

    def _passed(self, missing: Sequence[StoredEvent], cursor: int, upper: int) -> list[StoredEvent]:
        """Of events in order those up to the first whose turn may still come."""
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
            self._done = self._done_in(self._end - STRIDE, self._end)
        return self._done

    def _done_in(self, lower: int, upper: int) -> dict[int, int]:
        """For each priority, the latest event in a part of the log that was done a while ago."""
        deliveries = Delivery.objects.filter(event_id=OuterRef("event_id"), subscriber=self._row.name, run=0)
        lines = (
            _part_of_log(self._wanted.topics(), lower, upper)
            .alias(done_at=Subquery(deliveries.filter(state="done").values("at")[:1]))
            .filter(done_at__lte=self._before)
        )
        found = lines.order_by().values_list("priority").annotate(Max("sequence"))
        return dict(found)

    def _lost(self, stragglers: Sequence[Straggler]) -> list[tuple[StoredEvent, Straggler, int]]:
        """Of stragglers, those to be healed, with the attempt each is at; the others are settled or noted as they
        are."""
        ids = [one.event_id for one in stragglers]
        events = {event.event_id: event for event in StoredEvent.objects.filter(event_id__in=ids).defer("data")}
        outcomes = {
            (one.event_id, one.run): one
            for one in Delivery.objects.filter(event_id__in=ids, subscriber=self._row.name).defer("body")
        }
        owed = _owed(ids, self._row.name)
        over: list[int] = []
        waiting: list[int] = []
        lost: list[tuple[StoredEvent, Straggler, int]] = []
        for one in stragglers:
            event, outcome = events.get(one.event_id), outcomes.get((one.event_id, one.run))
            if event is None or (outcome is not None and outcome.state != "retrying"):
                over.append(one.pk)
            elif (one.event_id, one.run) in owed:
                waiting.append(one.pk)
            elif self._turn_has_passed(one, event):
                lost.append((event, one, 1 + (outcome.attempts if outcome else 0)))
        Straggler.objects.filter(pk__in=over).delete()
        Straggler.objects.filter(pk__in=[one.pk for one in stragglers]).update(checked_at=self._now)
        Straggler.objects.filter(pk__in=waiting).update(owed_at=self._now, after=self._end)
        return lost

    def _turn_has_passed(self, one: Straggler, event: StoredEvent) -> bool:
        pause = min(LONGEST, AGAIN * 2 ** min(one.healed - 1, 20)) if one.healed else dt.timedelta(0)
        if one.owed_at > self._before or one.owed_at + pause > self._now:
            return False
        if self._idle_before is not None and one.owed_at <= self._idle_before:
            return True
        return one.after < self._newest_done().get(event.priority, 0)

    def _heal(self, lost: Sequence[tuple[StoredEvent, Straggler, int]]) -> None:
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


def _part_of_log(topics: Sequence[str], lower: int, upper: int) -> QuerySet[StoredEvent]:
    return StoredEvent.objects.filter(sequence__gt=lower, sequence__lte=upper, suppressed="", topic__in=topics)


def _without_outcome(name: str, topics: Sequence[str], lower: int, upper: int) -> list[StoredEvent]:
    """The events in a part of the log that have no final delivery at a subscriber, in order.

    A subquery for each line: it goes by the inbox's index, however large the inbox is.
    """
    deliveries = Delivery.objects.filter(event_id=OuterRef("event_id"), subscriber=name, run=0)
    lines = _part_of_log(topics, lower, upper).alias(
        outcome=Coalesce(Subquery(deliveries.values("state")[:1]), Value("retrying"))
    )
    return list(lines.filter(outcome="retrying").order_by("sequence").defer("data"))


def _owed(ids: Sequence[Any], name: str) -> set[tuple[Any, int]]:
    """Which of the events are owed to a subscriber, with the run: by a row of its own, or by one for everyone."""
    rows = OutboxMessage.objects.filter(event_id__in=ids)
    own = rows.filter(subscriber=name).values_list("event_id", "run")
    delayed = rows.filter(subscriber="", due__isnull=False).values_list("event_id", "run")
    fresh = rows.filter(subscriber="", due__isnull=True, claimed=False).values_list("event_id", "run")
    return {*own, *delayed, *fresh}
