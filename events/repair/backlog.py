"""Backlog: how far each subscription is behind.

An event counts for a subscription while it has no final outcome there. These are three sets; none has an event of
another:

1. what has begun and is to be tried again: the `retrying` rows of the inbox, of any run;
2. what is on the watchlist and has no row in the inbox: it is late, or was asked for by a replay;
3. of the log after `accounted`, what the subscription wants and neither the inbox nor the watchlist has. Everything up
   to `accounted` has its outcome or is in one of the other sets: reconcile sees to that.

Each is read up to a limit and by an index, so an answer takes the same time however large log and inbox are.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from ..db.dialect import database_now
from ..db.names import table
from ..inbox.models import Delivery
from ..outbox.models import OutboxMessage, StoredEvent
from .event_filter import EventFilter
from .models import Straggler, Subscription

#: A backlog is counted exactly up to so many events.
COUNTED_AT_MOST = 10_000
#: Rows of the inbox, of each state, that are counted for a subscription.
OPEN_ROWS_AT_MOST = 100_000
#: Rows of the watchlist and lines of the log that are looked at for a subscription, with or without outcome. With more
#: than 5,000 outcomes between those that are behind, a backlog below 10,000 may not be exact.
LINES_AT_MOST, LINES_PER_STATEMENT = 15_000, 5_000
#: Of a part of the log that is longer than that, so many of the newest lines are looked at first.
NEWEST_LINES = 1_000
#: Rows of the inbox that are asked for the age of their event, those that were written first.
AGES_AT_MOST = 1_000
#: Places of the log that an estimate looks at, and how many of them must count for it to be good.
SAMPLE, HITS_AT_LEAST = 200, 10


@dataclass(frozen=True)
class Backlog:
    """How far a subscription is behind, in events.

    behind: how many have no final outcome there. is_exact: otherwise there are at least so many, and `estimate` is
    about how many there are. oldest_age: seconds since the oldest of them was emitted or became due, or since its
    replay or requeue; 0.0 if none is due yet, None if there are none. retrying: those that have begun, among those that
    are behind. dead: those that are given up and wait for a person; they are not behind. retrying and dead are counted
    up to 100,000.
    """

    name: str
    behind: int
    is_exact: bool
    estimate: int
    oldest_age: float | None
    retrying: int
    dead: int


class _Open(NamedTuple):
    """How many rows each table has for a subscription, up to a limit."""

    retrying: int
    dead: int
    watched: int


@dataclass
class _Stretch:
    """A part of the log that is read for some topics: after `begin`, up to `newest`. end: how far it was read. counted:
    how many of its events are behind."""

    topics: list[str]
    begin: int
    newest: int
    counted: int = 0
    end: int = 0

    def __post_init__(self) -> None:
        self.end = self.begin

    def has_unread(self, topic: str, sequence: int) -> bool:
        """Whether an event lies in this part, and was not read."""
        return self.end < sequence <= self.newest and topic in self.topics


@dataclass
class _Count:
    """What was counted so far."""

    behind: int = 0
    #: About how many there are in what was not read.
    estimated_rest: int = 0
    is_exact: bool = True
    oldest: list[dt.datetime] = field(default_factory=list)

    def add(self, number: int, oldest: dt.datetime | None) -> None:
        self.behind += number
        if oldest is not None:
            self.oldest.append(oldest)


def backlogs() -> list[Backlog]:
    """The backlog of every subscription that was announced, by name; those whose code is gone, too."""
    rows = list(Subscription.objects.order_by("name"))
    now = database_now(connections[router.db_for_write(Delivery)])
    newest, has_delayed = StoredEvent.objects.newest_of_topics(), OutboxMessage.objects.delayed(now).exists()
    found = _open_rows()
    return [
        _Reading(row, found[row.name], newest=newest, now=now, has_delayed=has_delayed).backlog()
        for row in rows
        if row.name in found
    ]


class _Reading:
    """Reads the backlog of one subscription.

    newest: for each topic the last event of the log. has_delayed: whether the outbox has events whose time comes later.
    """

    def __init__(
        self, row: Subscription, found: _Open, *, newest: dict[str, int], now: dt.datetime, has_delayed: bool
    ) -> None:
        self._row, self._found, self._newest, self._now, self._has_delayed = row, found, newest, now, has_delayed
        self._filter = EventFilter(row, as_announced=True)
        self._count = _Count()
        self._left = LINES_AT_MOST

    def backlog(self) -> Backlog:
        if self._found.retrying:
            self._count.add(self._found.retrying, self._oldest_retrying())
            self._count.is_exact = self._found.retrying < OPEN_ROWS_AT_MOST
        if self._found.watched:
            self._read_watchlist()
        self._read_log()
        count, found = self._count, self._found
        is_exact = count.is_exact and count.behind <= COUNTED_AT_MOST
        behind = min(count.behind, COUNTED_AT_MOST)
        age = max(0.0, (self._now - min(count.oldest)).total_seconds()) if count.oldest else None
        return Backlog(
            name=self._row.name,
            behind=behind,
            is_exact=is_exact,
            estimate=count.behind + count.estimated_rest,
            oldest_age=age if age is not None or not count.behind else 0.0,
            retrying=found.retrying,
            dead=found.dead,
        )

    def _oldest_retrying(self) -> dt.datetime | None:
        """When the oldest event was owed that has begun; of AGES_AT_MOST."""
        watched = Straggler.objects.filter(
            event_id=OuterRef("event_id"), subscriber=OuterRef("subscriber"), run=OuterRef("run")
        )
        event = StoredEvent.objects.filter(event_id=OuterRef("event_id"))
        first = Delivery.objects.filter(state="retrying", subscriber=self._row.name).order_by("pk")
        owed = first.annotate(
            since=Coalesce(Subquery(watched.values("owed_since")[:1]), Subquery(event.values("time")[:1]), F("at"))
        )
        oldest: dt.datetime | None = owed[:AGES_AT_MOST].aggregate(oldest=Min("since"))["oldest"]
        return oldest

    def _read_watchlist(self) -> None:
        logged = StoredEvent.objects.filter(event_id=OuterRef("event_id"))
        rows = Straggler.objects.filter(subscriber=self._row.name).annotate(
            since=Coalesce("owed_since", "owed_at"),
            begun=Subquery(_deliveries(OuterRef("subscriber"), run=OuterRef("run"))),
            logged=Subquery(logged.values("event_id")[:1]),
        )
        counts = Q(begun=None, logged__isnull=False)
        found = rows.order_by("checked_at")[: self._left].aggregate(
            rows=Count("pk"), number=Count("pk", filter=counts), oldest=Min("since", filter=counts)
        )
        self._count.add(found["number"], found["oldest"])
        if unread := max(0, self._found.watched - found["rows"]):
            self._count.is_exact = False
            self._count.estimated_rest += unread * found["number"] // found["rows"] if found["rows"] else unread
        self._left -= found["rows"]

    def _read_log(self) -> None:
        stretches = self._unaccounted()
        for one in stretches:
            while one.end < one.newest and self._left > 0 and self._count.behind <= COUNTED_AT_MOST:
                size = min(LINES_PER_STATEMENT, self._left)
                found = self._lines(one, size)
                one.counted += found["number"]
                one.end = found["last"] if found["lines"] == size else one.newest
                self._count.add(found["number"], found["oldest"])
                self._left -= found["lines"]
        if unread := [one for one in stretches if one.end < one.newest]:
            self._count.is_exact = False
            self._count.estimated_rest += self._estimate(stretches, unread)

    def _unaccounted(self) -> list[_Stretch]:
        """The parts of the log in which events may be neither final nor watched, in the order of reading.

        The newest lines come first, then the oldest ones: both are read for all topics at a time. What is between them
        is read for each topic by itself, as the index leads to its lines alone.
        """
        cursor = max(self._row.since, self._row.accounted)
        by_begin: dict[int, dict[str, int]] = defaultdict(dict)
        for topic, newest in self._newest.items():
            since = self._filter.since(topic)
            if since is not None and newest > (begin := max(cursor, since)):
                by_begin[begin][topic] = newest
        first: list[_Stretch] = []
        between: list[_Stretch] = []
        for begin, topics in by_begin.items():
            end = max(topics.values())
            head = min(begin + LINES_AT_MOST, end)
            tail = max(head, end - NEWEST_LINES)
            first += [_Stretch([*topics], begin=tail, newest=end), _Stretch([*topics], begin=begin, newest=head)]
            between += [_Stretch([topic], begin=head, newest=min(newest, tail)) for topic, newest in topics.items()]
        return [one for one in (*first, *between) if one.newest > one.begin]

    def _lines(self, stretch: _Stretch, size: int) -> dict[str, Any]:
        """The next lines of the log, and those that count. A subquery per line: it uses the index of the inbox."""
        lines = self._with_state(
            StoredEvent.objects.owed_to(self._row.name).filter(
                topic__in=stretch.topics, sequence__gt=stretch.end, sequence__lte=stretch.newest
            )
        )
        counts = is_due = self._counts
        if self._has_delayed:
            waiting = OutboxMessage.objects.delayed(self._now).filter(event_id=OuterRef("event_id"), subscriber="")
            lines = lines.annotate(waits=Exists(waiting))
            is_due = counts & Q(waits=False)
        found: dict[str, Any] = lines.order_by("sequence")[:size].aggregate(
            lines=Count("pk"),
            last=Max("sequence"),
            number=Count("pk", filter=counts),
            oldest=Min("time", filter=is_due),
        )
        return found

    def _with_state(self, lines: QuerySet[StoredEvent]) -> Any:
        """Events with what `_counts` asks for."""
        lines = lines.annotate(begun=Subquery(_deliveries(self._row.name, run=0)))
        if not self._found.watched:
            return lines
        watched = Straggler.objects.filter(event_id=OuterRef("event_id"), subscriber=self._row.name, run=0)
        return lines.annotate(watched=Subquery(watched.values("run")[:1]))

    @property
    def _counts(self) -> Q:
        """Events that are of the third set."""
        return Q(begun=None, watched=None) if self._found.watched else Q(begun=None)

    def _estimate(self, stretches: list[_Stretch], unread: list[_Stretch]) -> int:
        """About how many events count in the parts of the log that were not read: from a sample, or, if what counts is
        too seldom for that, as if the rest were like what was read."""
        begin, end = min(one.end for one in unread), max(one.newest for one in unread)
        step = max(1.0, (end - begin) / SAMPLE)
        places = sorted({begin + 1 + int((number + 0.5) * step) for number in range(SAMPLE)})
        lines = StoredEvent.objects.owed_to(self._row.name).filter(sequence__in=places)
        behind = self._with_state(lines).filter(self._counts).values_list("topic", "sequence")
        hits = sum(any(one.has_unread(topic, sequence) for one in unread) for topic, sequence in behind)
        if hits >= HITS_AT_LEAST:
            return round(hits * step)
        counted, read = sum(one.counted for one in stretches), sum(one.end - one.begin for one in stretches)
        return round(counted / read * (end - begin)) if read else 0


def _deliveries(subscriber: Any, *, run: Any) -> QuerySet[Delivery, Any]:
    """The inbox's row of the outer query's event, of which the unique index has all that is asked."""
    return Delivery.objects.filter(event_id=OuterRef("event_id"), subscriber=subscriber, run=run).values("run")[:1]


def _open_rows() -> dict[str, _Open]:
    """For each subscription what is open in inbox and watchlist, in one statement: most have nothing."""
    delivery, straggler, subscription = table(Delivery), table(Straggler), table(Subscription)

    def count(rows: str, limit: int) -> str:
        return f"(SELECT count(*) FROM (SELECT 1 FROM {rows} LIMIT {limit}) AS counted)"

    of = "subscriber = subscription.name"
    columns = (
        count(f"{delivery} WHERE state = 'retrying' AND {of}", OPEN_ROWS_AT_MOST),
        count(f"{delivery} WHERE state = 'dead' AND {of}", OPEN_ROWS_AT_MOST),
        count(f"{straggler} WHERE {of}", OPEN_ROWS_AT_MOST),
    )
    with connections[router.db_for_write(Delivery)].cursor() as cursor:
        cursor.execute(f"SELECT name, {', '.join(columns)} FROM {subscription} AS subscription")
        return {name: _Open(*counts) for name, *counts in cursor.fetchall()}
