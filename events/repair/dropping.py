"""Dropping: a whole partition of log and inbox goes at once, where prune would delete its rows.

It may go when each of its events is older than the keep time of its topic:

1. Every event is looked at, as prune does. What is held up is to stay, and what the inbox has without an event.
2. The floors are raised above what goes, and its failed attempts are deleted.
3. In one transaction, under the lock of both tables, what has changed since is looked at. The partition is taken out,
   what stays is inserted again, which leads it to the default partition, and the rest is dropped.

The lock is held for milliseconds, and waited for no longer than that: others queue behind. If too much is to stay, the
partition remains, and prune deletes its rows.
"""

from __future__ import annotations

import datetime as dt
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.db import OperationalError, ProgrammingError
from django.db.models import Exists, Max, OuterRef, QuerySet

from ..db.commit import committed
from ..db.deadlocks import LOCKED, is_deadlock, sqlstate
from ..db.partitions import detach, lock, partitions_of_time
from ..inbox.models import Attempt, Delivery
from ..keep import KeepTimes
from ..logger import get_logger
from ..outbox.event_id import made_at, was_made_before
from ..outbox.floor import Gone
from ..outbox.models import LogFloor, StoredEvent
from ..outbox.writers import outlast_writers
from .holders import Held, Holder, what_holds
from .models import Straggler
from .partitions import Pair
from .with_inbox import delete_attempts

log = get_logger("events.prune")

#: Events that are looked at in one step, and failed attempts that go in one transaction.
EVENTS_PER_STEP, ATTEMPTS_PER_CHUNK = 1_000, 500
#: With more events to move, the partition remains.
MOVED_AT_MOST = 5_000
#: How often it is tried to drop a partition, and the seconds before each further time, at least and at most.
TRIES, PAUSE = 20, (0.2, 1.0)
#: PostgreSQL's code of what a role may not do.
NOT_ALLOWED = "42501"
#: Seconds that transactions get to end which write to log or inbox.
WRITERS_END_WITHIN = 10.0


class Period(NamedTuple):
    """A time that log and inbox have a partition for. low, high: its ids are `low <= id < high`. log, inbox: the names
    of the partitions. topics: those of its events."""

    low: uuid.UUID
    high: uuid.UUID
    log: str
    inbox: str
    topics: tuple[str, ...]

    def keep(self, keep: KeepTimes) -> dt.timedelta | None:
        """How long after its end there is something to be kept; None: for ever."""
        times = [keep.of(topic) for topic in self.topics] or [keep.longest()]
        known = [one for one in times if one is not None]
        return max(known) if len(known) == len(times) else None

    def is_over(self, keep: KeepTimes, now: dt.datetime) -> bool:
        """Whether all of its events are older than their keep times, by their ids."""
        longest = self.keep(keep)
        return longest is not None and made_at(self.high) <= now - longest


def periods(both: Pair) -> list[Period]:
    """The partitions of log and inbox, in the order of time; none where they are plain tables."""
    inbox = {(one.low, one.high): one.name for one in partitions_of_time(both.connection, both.inbox)}
    return [
        Period(one.low, one.high, one.name, name, tuple(StoredEvent.objects.newest_of_topics(one.name)))
        for one in partitions_of_time(both.connection, both.log)
        if one.low and one.high and (name := inbox.get((one.low, one.high)))
    ]


class Walk:
    """What is known of the events of a period. It may end at any event, and go on later.

    gone: how many go, by topic. held: what holds up others, by topic and holder. staying: the ids of events that stay,
    and of those that the inbox has alone.
    """

    def __init__(
        self, both: Pair, period: Period, known: Sequence[Holder], *, keep: KeepTimes, now: dt.datetime
    ) -> None:
        self.period = period
        self._both = both
        self.gone: Counter[str] = Counter()
        self.held: dict[tuple[str, str], Held] = {}
        self.staying: set[uuid.UUID] = set()
        self.names = {one.name for one in known}
        self._known, self._keep, self._now = known, keep, now
        self._next = period.low
        #: Of each topic the highest number, id and time that go.
        self._above: dict[str, Gone] = {}
        #: The last rows of log and inbox that were looked at.
        self._marks: tuple[int, int] | None = None
        #: Events with an open row that holds nothing up.
        self._cleared: set[uuid.UUID] = set()
        self._may_not = False

    @property
    def goes_by_rows(self) -> bool:
        """Whether the partition remains: too much of it is to stay, or this role does not own the tables."""
        return self._may_not or len(self.staying) > MOVED_AT_MOST

    def go_on(self, may_go_on: Callable[[], bool], advance: Callable[[int], None] | None = None) -> bool:
        """Look at further events; whether there is nothing more to look at. advance: called with their number."""
        if self._marks is None and not self._mark():
            return False
        while self._next < self.period.high and not self.goes_by_rows:
            if not may_go_on():
                return False
            number = self._step()
            if advance:
                advance(number)
        return True

    def drop(self) -> bool:
        """Drop the partitions; False if others were in the way each of TRIES times, or if it `goes_by_rows` by now.

        Raises whatever the database raises.
        """
        LogFloor.objects.raise_above(list(self._above.values()))
        self._delete_attempts()
        for _ in range(TRIES):
            if not self._look_again() or self.goes_by_rows:
                return False
            try:
                with committed(using=self._both.connection.alias):
                    self._drop()
                return True
            except _ChangedError:
                continue
            except ProgrammingError as error:
                if sqlstate(error) != NOT_ALLOWED:
                    raise
                log.warning("the role of this process does not own the tables: events go row by row", error=str(error))
                self._may_not = True
                return False
            except OperationalError as error:
                if sqlstate(error) != LOCKED and not is_deadlock(error):
                    raise
            time.sleep(random.uniform(*PAUSE))
        return False

    def _step(self) -> int:
        logged = _within(StoredEvent.objects, self._next, self.period.high).order_by("event_id")
        events = list(logged.defer("data")[:EVENTS_PER_STEP])
        end = self.period.high if len(events) < EVENTS_PER_STEP else uuid.UUID(int=events[-1].event_id.int + 1)
        held, newest = what_holds(events, self._known), StoredEvent.objects.newest()
        for event in events:
            holders = held.get(event.event_id, ())
            for holder in holders:
                one = self.held.setdefault((event.topic, holder), Held(holder=holder, count=0, first=event.sequence))
                one.count, one.first = one.count + 1, min(one.first, event.sequence)
            if holders or event.sequence == newest or not self._is_old(event):
                self.staying.add(event.event_id)
            else:
                self._let_go(event)
        event = _within(StoredEvent.objects, self._next, end).filter(event_id=OuterRef("event_id"))
        alone = _within(Delivery.objects, self._next, end).exclude(Exists(event))
        self.staying.update(alone.values_list("event_id", flat=True)[: MOVED_AT_MOST + 1])
        self._next = end
        return len(events)

    def _is_old(self, event: StoredEvent) -> bool:
        keep = self._keep.of(event.topic)
        return keep is not None and was_made_before(self._now - keep, event.event_id, written=event.time)

    def _let_go(self, event: StoredEvent) -> None:
        self.gone[event.topic] += 1
        above = self._above.get(event.topic, Gone(event.topic, 0, event.event_id, event.time))
        self._above[event.topic] = Gone(
            event.topic,
            max(above.sequence, event.sequence),
            max(above.event_id, event.event_id),
            max(above.time, event.time),
        )

    def _mark(self) -> bool:
        """Note the last rows of both partitions. False if open transactions may have written others before."""
        low, high = self.period.low, self.period.high
        log, inbox = (
            _within(model.objects, low, high).aggregate(last=Max("pk"))["last"] or 0
            for model in (StoredEvent, Delivery)
        )
        both = self._both
        if not outlast_writers(both.connection, both.log, both.inbox, seconds=WRITERS_END_WITHIN):
            return False
        self._marks = (log, inbox)
        return True

    def _look_again(self) -> bool:
        """Look at the events that something has happened to since they were looked at. False as `_mark`."""
        before = self._marks
        if not self._mark():
            return False
        changed = self._new(before) | self._open()
        events = list(StoredEvent.objects.filter(event_id__in=changed).defer("data"))
        held = what_holds(events, self._known)
        for event in events:
            if event.event_id in held:
                self.staying.add(event.event_id)
                self.gone[event.topic] -= 1
        self.staying |= changed - {event.event_id for event in events}  # the inbox has them alone
        self._cleared = changed - self.staying
        return True

    def _new(self, marks: tuple[int, int] | None) -> set[uuid.UUID]:
        """The events, but for those that stay, that have rows beyond these numbers."""
        found: set[uuid.UUID] = set()
        for model, mark in zip((StoredEvent, Delivery), marks or (0, 0), strict=True):
            rows = _within(model.objects, self.period.low, self.period.high).filter(pk__gt=mark)
            found.update(rows.values_list("event_id", flat=True))
        return found - self.staying

    def _open(self) -> set[uuid.UUID]:
        """The events, but for those that stay, that a row of the inbox or of the watchlist may hold up."""
        low, high = self.period.low, self.period.high
        rows = _within(Delivery.objects, low, high).filter(state__in=("dead", "retrying"))
        found = {*rows.values_list("event_id", flat=True)}
        found.update(_within(Straggler.objects, low, high).values_list("event_id", flat=True))
        return found - self.staying

    def _delete_attempts(self) -> None:
        """Failed attempts go first: nobody needs those of what is over, and the lock need not wait for them."""
        rows = _within(Delivery.objects, self.period.low, self.period.high).exclude(event_id__in=self.staying)
        attempts = Attempt.objects.filter(delivery__in=rows.filter(state__in=("done", "discarded"))).order_by("pk")
        last = 0
        while keys := list(attempts.filter(pk__gt=last).values_list("pk", flat=True)[:ATTEMPTS_PER_CHUNK]):
            with committed(using=attempts.db):
                delete_attempts(keys)
            last = keys[-1]

    def _drop(self) -> None:
        both = self._both
        lock(both.connection, both.log, both.inbox)
        if self._new(self._marks) or self._open() - self._cleared:
            raise _ChangedError
        low, high = self.period.low, self.period.high
        _within(Straggler.objects, low, high).exclude(event_id__in=self.staying).delete()
        with both.connection.cursor() as cursor:
            for model, parent, partition in (
                (StoredEvent, both.log, self.period.log),
                (Delivery, both.inbox, self.period.inbox),
            ):
                detach(both.connection, parent, partition)
                columns = ", ".join(f'"{one.column}"' for one in model._meta.concrete_fields)
                cursor.execute(
                    f"INSERT INTO {parent} ({columns}) SELECT {columns} FROM {partition} WHERE event_id = ANY(%s)",
                    [list(self.staying)],
                )
                cursor.execute(f"DROP TABLE {partition}")


class _ChangedError(Exception):
    """Something in the partition has changed since it was looked at."""


def _within(rows: Any, low: uuid.UUID, high: uuid.UUID) -> QuerySet[Any]:
    """The rows of events with ids `low <= id < high`: both bounds, so that one partition is read."""
    found: QuerySet[Any] = rows.filter(event_id__gte=low, event_id__lt=high)
    return found
