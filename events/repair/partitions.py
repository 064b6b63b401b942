"""Partitions: on PostgreSQL log and inbox are partitioned by the id of the event, a UUIDv7, so by time.

Both have the same partitions, so that all of a time can be dropped at once. They are made ahead. What has an id of no
such time, or of one that has no partition, is in the default partition (`db/partitions.py`): nothing is ever refused.

A site that is older than this has plain tables until `manage.py partition` was run. All works on these, too, but what
is pruned is deleted row by row.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from django.db import OperationalError, connections, router

from ..chores import chore
from ..db.commit import committed
from ..db.deadlocks import LOCKED, is_deadlock, sqlstate
from ..db.dialect import database_now
from ..db.names import table
from ..db.partitions import add_partition, all_partitions, is_partitioned, lock, partitions_of_time
from ..db.reshape import Reshaping
from ..inbox.models import Delivery
from ..keep import partition_days
from ..logger import get_logger
from ..outbox.event_id import AHEAD, EPOCH, FIRST, lowest_id, made_at
from ..outbox.models import StoredEvent

log = get_logger("events.partitions")

T = TypeVar("T")

#: Partitions of the past that are made for a log that is there, at most. What is older is in the default partition.
PAST_AT_MOST = 100
#: A log and an inbox that have fewer rows are partitioned while others wait, which takes less than a second.
FEW_ROWS = 10_000
#: Seconds in which a lock must be had: each time it is waited for shortly, as others queue behind.
PATIENCE, PAUSE = 300.0, 0.5
DAY = dt.timedelta(days=1)


class Shown(NamedTuple):
    """A partition as people see it: begin and end of its time, None for all else; about how many rows; bytes."""

    name: str
    begin: dt.datetime | None
    end: dt.datetime | None
    rows: int
    size: int


class Pair:
    """Log and inbox. log, inbox: their models, or those of a migration."""

    def __init__(self, log: Any, inbox: Any, *, using: str | None = None) -> None:
        self.connection: Any = connections[using or router.db_for_write(log)]
        self.log, self.inbox = table(log), table(inbox)
        self._tables = [model._meta for model in (log, inbox)]
        self._reshapings = [
            Reshaping(self.connection, meta.db_table, column=meta.pk.column, by="event_id") for meta in self._tables
        ]

    def is_partitioned(self) -> bool:
        """Whether both are."""
        return all(is_partitioned(self.connection, one) for one in (self.log, self.inbox))

    def add_ahead(self) -> int:
        """Make the partitions that are needed soon; returns how many. None, if the tables are not partitioned.

        If there was none for today, the next one begins after today's ids, and those between are in the default one.
        """
        if not self.is_partitioned():
            return 0
        now = database_now(self.connection)
        begin = self._end()
        if begin <= now + AHEAD:
            begin = _midnight(now + AHEAD) + DAY
        made = _periods(begin, now)
        for period in made:
            patiently(partial(self._add_period, period, parents=(self.log, self.inbox)))
        return len(made)

    def days_ahead(self) -> float:
        """For how many days from now on there are partitions; below 0: since when there are none."""
        return (self._end() - database_now(self.connection)) / DAY

    def shown(self) -> list[Shown]:
        """All partitions of both; none of plain tables."""
        return [
            Shown(one.name, made_at(one.low), made_at(one.high), one.rows, one.size)
            if one.low and one.high
            else Shown(one.name, None, None, one.rows, one.size)
            for name in (self.log, self.inbox)
            for one in all_partitions(self.connection, name)
        ]

    def is_begun(self) -> bool:
        """Whether a reshaping is under way."""
        return any(one.is_begun() for one in self._reshapings)

    def rows(self) -> int:
        """About how many rows both have."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class"
                " WHERE oid IN (%s::regclass, %s::regclass)",
                [self.log, self.inbox],
            )
            return int(cursor.fetchone()[0])

    def reshape(
        self, *, partitioned: bool, rate: int | None = None, advance: Callable[[int], None] | None = None
    ) -> None:
        """Partition both beside a running site, or make plain tables of them again. It may end at any point, and goes
        on when it is called again; called for the opposite, it is given up.

        rate: rows that are copied per second, at most. advance: called with the rows since the last call.

        Raises OperationalError if somebody keeps a table for PATIENCE seconds, and whatever the database raises.
        """
        if self.is_partitioned() == partitioned:
            patiently(self._abandon)
            return
        if not self.is_begun():
            patiently(partial(self._begin, partitioned))
        for one in self._reshapings:
            one.copy(advance, rate=rate)
            one.analyze()
        patiently(self._swap)

    def reshape_few(self, *, partitioned: bool) -> bool:
        """As `reshape`, but in one transaction, which others wait for; False, and nothing is done, if there are more
        than FEW_ROWS."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {self.log} UNION ALL SELECT 1 FROM {self.inbox} LIMIT %s) AS few",
                [FEW_ROWS + 1],
            )
            if cursor.fetchone()[0] > FEW_ROWS:
                return False
        patiently(partial(self._reshape_at_once, partitioned))
        return True

    def _reshape_at_once(self, partitioned: bool) -> None:
        with committed(using=self.connection.alias):
            lock(self.connection, self.log, self.inbox)
            self._begin(partitioned)
            for one in self._reshapings:
                one.copy()
            self._swap()

    def _begin(self, partitioned: bool) -> None:
        with committed(using=self.connection.alias):
            for one in self._reshapings:
                one.begin(partitioned=partitioned)
            if partitioned:
                now = database_now(self.connection)
                first = _midnight(max(self._oldest(now), now - PAST_AT_MOST * dt.timedelta(days=partition_days())))
                parents = [self.connection.ops.quote_name(one.new_name) for one in self._reshapings]
                for period in _periods(first, now):
                    self._add_period(period, parents=parents)

    def _abandon(self) -> None:
        with committed(using=self.connection.alias):
            for one in self._reshapings:
                one.abandon()

    def _swap(self) -> None:
        with committed(using=self.connection.alias):
            for one in self._reshapings:
                one.swap()

    def _add_period(self, period: tuple[uuid.UUID, uuid.UUID], *, parents: Sequence[str]) -> None:
        with committed(using=self.connection.alias):
            for parent, meta in zip(parents, self._tables, strict=True):
                add_partition(
                    self.connection, parent, table=meta.db_table, key='"event_id"', low=period[0], high=period[1]
                )

    def _end(self) -> dt.datetime:
        """Up to when there are partitions."""
        ends = [made_at(one.high) for one in partitions_of_time(self.connection, self.log) if one.high]
        return max(ends, default=EPOCH)

    def _oldest(self, now: dt.datetime) -> dt.datetime:
        """When the first event of the log was made, of those whose ids say so."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT event_id FROM {self.log} WHERE event_id >= %s AND event_id < %s"
                " AND substring(event_id::text, 15, 1) = '7' ORDER BY event_id LIMIT 1",
                [lowest_id(FIRST), lowest_id(now)],
            )
            row = cursor.fetchone()
            return made_at(row[0]) if row else now


def patiently(transact: Callable[[], T]) -> T:
    """Run a transaction, and again while it does not get a lock, for PATIENCE seconds; returns its result.

    Raises whatever it raises; at the end the OperationalError.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return transact()
        except OperationalError as error:
            if time.monotonic() >= until or not (sqlstate(error) == LOCKED or is_deadlock(error)):
                raise
        time.sleep(PAUSE)


def log_and_inbox() -> Pair:
    """Those of this installation."""
    return Pair(StoredEvent, Delivery)


@chore
def add_partitions() -> None:
    """Make partitions ahead."""
    if made := log_and_inbox().add_ahead():
        log.info("partitions made", periods=made)


def _periods(begin: dt.datetime, now: dt.datetime) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """The bounds of each partition from a time on, until there is one for the time after the current period."""
    length = dt.timedelta(days=partition_days())
    found = []
    while begin < now + AHEAD + length:
        end = EPOCH + ((begin - EPOCH) // length + 1) * length
        found.append((lowest_id(begin), lowest_id(end)))
        begin = end
    return found


def _midnight(moment: dt.datetime) -> dt.datetime:
    return EPOCH + (moment - EPOCH) // DAY * DAY
