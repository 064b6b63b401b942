"""Reader: asks the outbox for its next rows, without walking over those that are gone."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from typing import Any

from django.db import connections, router

from ..db.names import table
from .batch_sql import HIGHEST_PRIORITY, Since
from .messages import Batch
from .models import OutboxMessage
from .writers import open_writers

#: Seconds, and rows that were moved, after one of which the floors are raised: after the seconds while the relay has
#: nothing else to do, after twice as many in any case.
RAISE_AFTER, RAISE_AFTER_ROWS = 1.0, 500
#: A question from the first row on is asked every so many seconds: at least, and as a multiple of the time it takes.
FULL_LOOK, FULL_LOOK_COSTS = 10.0, 300
DUE_LOOK, DUE_LOOK_COSTS = 0.5, 20
#: How far the due times are read back, for rows that are committed later than they are due.
DUE_MARGIN = dt.timedelta(seconds=2)

Floors = tuple[int, ...]
_LOWEST: Floors = (0,) * (HIGHEST_PRIORITY + 1)


class OutboxReader:
    """The relay's questions, for as long as one courier lives.

    A deleted row stays in the index for as long as any transaction may see it, a dump of an hour for example. On
    PostgreSQL a question that began at the first entry would walk over all of these, each time. So it begins at a
    floor: per priority, a primary key below which no row can be found. Why no row is missed:

    1. A floor is raised to N + 1 at most, where N is the highest number that was given out (the sequence's last value)
       at a certain time, and never beyond a row that the question found and that is still there.
    2. After reading N, and before the question, the open transactions that write to the table are noted ("blockers").
       A transaction takes its lock on the table before its rows are numbered. So a row up to N that the question did
       not see was written by a blocker; all others had committed before the question.
    3. After each question the blockers are looked up again. If one has ended, the question is asked again, from the
       floors that held when it was first seen: its rows are numbered above these, by 2. The second answer counts.
       A blocker that has committed and still has its lock is found a question later; until then nobody can have
       written to the rows it locked, so the order per changed row holds.
    4. What breaks these rules (rows with numbers of their own, a sequence with a cache, a due time that was removed by
       hand) is found by a full look, every 10 seconds; if that is slow, so seldom that it takes 1/300 of the time.

    Due times are no numbers: a row may be committed later than it is due. The due rows are read from 2 seconds before
    the last question on; older ones are found by a look from the first one, every 0.5 seconds; if that is slow, so
    seldom that it takes 1/20 of the time.
    """

    def __init__(self) -> None:
        self._floors: Floors = _LOWEST
        #: No floor is raised beyond it: the number after N.
        self._limit = 0
        self._blockers: dict[str, Floors] = {}
        self._due: dt.datetime | None = None
        self._raised_at = self._full_look_at = self._due_look_at = 0.0
        self._moved = 0

    def next_batch(self, size: int, *, most_bytes: int, without: Sequence[int]) -> Batch:
        """As OutboxQuerySet.next_batch."""

        def ask(since: Since) -> Batch:
            return OutboxMessage.objects.next_batch(size, most_bytes=most_bytes, without=without, since=since)

        connection = connections[router.db_for_write(OutboxMessage)]
        if connection.vendor != "postgresql":
            return ask(Since(None, None))
        now = time.monotonic()
        full, due_look = now >= self._full_look_at, now >= self._due_look_at
        if full or self._moved >= RAISE_AFTER_ROWS or now - self._raised_at >= 2 * RAISE_AFTER:
            self._note(connection)
        due = None if due_look else self._due
        batch = ask(Since(None if full else self._floors, due))
        took = time.monotonic() - now
        if full:
            self._full_look_at = now + max(FULL_LOOK, FULL_LOOK_COSTS * took)
        if due_look:
            self._due_look_at = now + max(DUE_LOOK, DUE_LOOK_COSTS * took)
        if self._blockers and (low := self._ended(connection)) is not None:
            self._floors = low
            batch = ask(Since(None if full else low, due))
        self._learn(batch, without)
        return batch

    def prepare(self) -> None:
        """What would delay the next question, while there is time."""
        connection = connections[router.db_for_write(OutboxMessage)]
        if connection.vendor == "postgresql" and time.monotonic() - self._raised_at >= RAISE_AFTER:
            self._note(connection)

    def due_batch(self, size: int, *, most_bytes: int, without: Sequence[int]) -> Batch:
        """As OutboxQuerySet.due_batch."""
        since = Since(None, self._due)
        return OutboxMessage.objects.due_batch(size, most_bytes=most_bytes, without=without, since=since)

    def _note(self, connection: Any) -> None:
        """Note the highest number that was given out; then the blockers."""
        outbox = table(OutboxMessage)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sequence_last_value(pg_get_serial_sequence(%s, 'id')::regclass)", [outbox])
            limit = (cursor.fetchone()[0] or 0) + 1
        # One that was noted before keeps its floors. One that has ended since is found by `_ended`.
        for writer in open_writers(connection, outbox):
            self._blockers.setdefault(writer, self._floors)
        self._limit, self._raised_at, self._moved = limit, time.monotonic(), 0

    def _ended(self, connection: Any) -> Floors | None:
        """The floors from which to ask again, if blockers have ended."""
        ended = self._blockers.keys() - open_writers(connection, table(OutboxMessage))
        if not ended:
            return None
        return tuple(map(min, *(self._blockers.pop(writer) for writer in ended), self._floors))

    def _learn(self, batch: Batch, without: Sequence[int]) -> None:
        """Raise the floors to the first rows of an answer."""
        self._moved += len(batch.rows)
        first: dict[int, int] = {}
        for row in reversed(batch.rows):
            first[row.priority] = row.pk
        # Of priorities below that of the last row nothing is known, unless there was no further row.
        last = batch.rows[-1].priority if batch.rows else HIGHEST_PRIORITY + 1
        highest = min((self._limit, *without, *batch.dangling))
        self._floors = tuple(
            min(first.get(priority, highest), highest) if batch.complete or priority >= last else floor
            for priority, floor in zip(range(HIGHEST_PRIORITY, -1, -1), self._floors, strict=True)
        )
        if batch.asked_at is not None:
            until = dt.timedelta(seconds=min(batch.seconds_until_due or 0.0, 0.0))
            self._due = min(batch.asked_at + until, batch.asked_at - DUE_MARGIN)
