"""Messages: the rows of the outbox, each a delivery that is still to be sent.

A row is new (`due` is NULL) or waits for its time (`due` is a time); `subscriber` is '' for "every subscriber of the
topic". `claimed` marks a row that the embedded broker has handed out. The relay never reads past a row that it may not
take: each of its queries has an index of its own.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import OperationalError, connections, models, transaction
from django.db.models.functions import Cast, Coalesce, Length, Now

from ..db.commit import committed
from ..db.dialect import ROWS_PER_STATEMENT, DeliveryKey, adapted, database_now
from ..db.names import table
from ..db.prepared import prepared_cursor
from ..db.primary import PrimaryQuerySet
from ..envelope import Envelope
from .batch_sql import (
    EVENT_COLUMNS,
    LONG_AGO,
    NO_LIMIT,
    OWN_COLUMNS,
    Since,
    due_batch_sql,
    next_batch_sql,
    seconds_until_due_sql,
)
from .notify import local_notification, notify_sleeping_relay

if TYPE_CHECKING:
    from .models import OutboxMessage

_DATA = len(OWN_COLUMNS) + EVENT_COLUMNS.index("data")
_EVENT_ID = len(OWN_COLUMNS) + EVENT_COLUMNS.index("event_id")
_FIELDS = (*OWN_COLUMNS, *(f"event__{name}" for name in EVENT_COLUMNS))
#: How long a relay waits for rows that another session holds, and the error that PostgreSQL raises then.
LOCK_TIMEOUT, LOCK_NOT_AVAILABLE = "500ms", "55P03"

#: What is due later than this is not put off because a queue refuses it: it was delayed, or its retry was.
LONGEST_REFUSAL = dt.timedelta(minutes=1)


class OutboxRow(NamedTuple):
    """A row of the outbox with its event: what is needed to send it, without the cost of a model."""

    pk: int
    subscriber: str
    run: int
    attempt: int
    priority: int
    due: dt.datetime | None
    size: int
    envelope: Envelope

    @classmethod
    def from_columns(cls, row: Sequence[Any]) -> OutboxRow:
        """From the values of `OWN_COLUMNS` and `EVENT_COLUMNS`, in this order."""
        return cls(*row[: len(OWN_COLUMNS)], Envelope(*row[len(OWN_COLUMNS) :]))  # type: ignore[call-arg]

    @property
    def event_id(self) -> uuid.UUID:
        return self.envelope.id

    def without_data(self) -> OutboxRow:
        """The same row, small enough to be remembered."""
        return self._replace(envelope=self.envelope._replace(data={}))


class Batch(NamedTuple):
    """What a question to the outbox found.

    dangling: primary keys of rows whose event is not in the log. complete: whether there was no further row. asked_at:
    when, by the clock of PostgreSQL.
    """

    rows: list[OutboxRow]
    dangling: list[int]
    complete: bool
    seconds_until_due: float | None = None
    asked_at: dt.datetime | None = None


class OutboxQuerySet(PrimaryQuerySet["OutboxMessage"]):
    """The outbox."""

    def new(self) -> OutboxQuerySet:
        """Rows for every subscriber, never tried, in the order of publishing."""
        return self.filter(subscriber="", due__isnull=True, claimed=False).order_by("-priority", "id")

    def due(self) -> OutboxQuerySet:
        """Rows whose time has come, the longest waiting first."""
        return self.filter(due__lte=Now(), claimed=False).order_by("due", "id")

    def delayed(self, now: dt.datetime) -> OutboxQuerySet:
        """Rows that are to wait for their time. now: by the database's clock."""
        return self.filter(due__gt=now + LONGEST_REFUSAL, claimed=False)

    def dangling(self) -> OutboxQuerySet:
        """Rows whose event is not in the log."""
        log: Any = self.model._meta.get_field("event").related_model
        return self.exclude(models.Exists(log.objects.filter(event_id=models.OuterRef("event_id"))))

    def for_subscriber(self, subscriber: str) -> OutboxQuerySet:
        """Rows for one subscriber that are not handed out yet."""
        return self.filter(subscriber=subscriber, due__isnull=True, claimed=False).order_by("-priority", "id")

    def subscribers_waiting(self) -> list[str]:
        """The names of the subscribers that `for_subscriber` has rows for, sorted.

        The index is read once per name, not once per row.
        """
        with connections[self.db].cursor() as cursor:
            cursor.execute(_subscribers_waiting(table(self.model)))
            return [name for (name,) in cursor.fetchall()]

    def in_flight(self) -> list[tuple[int, int]]:
        """(primary key, attempt) of each row that is handed out."""
        return list(self.filter(claimed=True).order_by("id").values_list("pk", "attempt"))

    def seconds_until_due(self) -> float | None:
        """Seconds until the first waiting row is due, by the database's clock; 0 or less: it is due; None: no row
        waits."""
        connection = connections[self.db]
        if connection.vendor == "postgresql":
            with prepared_cursor(connection) as cursor:
                cursor.execute(seconds_until_due_sql(table(self.model)), {"due": LONG_AGO})
                return next((seconds for (seconds,) in cursor.fetchall()), None)
        waiting = self.filter(due__isnull=False, claimed=False).order_by("due", "id")
        wait = models.ExpressionWrapper(models.F("due") - Now(), models.DurationField())
        seconds = waiting.annotate(wait=wait).values_list("wait", flat=True)[:1]
        return next((one.total_seconds() for one in seconds), None)

    def next_batch(
        self, size: int, *, most_bytes: int = NO_LIMIT, without: Sequence[int] = (), since: Since | None = None
    ) -> Batch:
        """The first new rows, and `seconds_until_due()`; on PostgreSQL in one round trip and without the ORM: every
        single event takes this way.

        size, most_bytes: how many rows, and how large their events may be together; one row comes in any case.
        without: primary keys of rows to leave out. since: where PostgreSQL begins to look.
        """
        if connections[self.db].vendor == "postgresql":
            floors = since is not None and since.floors is not None
            sql = next_batch_sql(table(self.model), self._log(), floors=floors)
            return self._ask(sql, without, size, most_bytes, since)
        batch = self.new().bounded(size, most_bytes=most_bytes, without=without)
        return batch._replace(seconds_until_due=self.seconds_until_due())

    def due_batch(
        self, size: int, *, most_bytes: int = NO_LIMIT, without: Sequence[int] = (), since: Since | None = None
    ) -> Batch:
        """The first rows whose time has come; the arguments are those of `next_batch`."""
        if connections[self.db].vendor == "postgresql":
            return self._ask(due_batch_sql(table(self.model), self._log()), without, size, most_bytes, since)
        return self.due().bounded(size, most_bytes=most_bytes, without=without)

    def _ask(self, sql: str, without: Sequence[int], size: int, most_bytes: int, since: Since | None) -> Batch:
        floors, due = since or (None, None)
        parameters: dict[str, Any] = {
            "without": list(without),
            "size": size,
            "most_bytes": most_bytes,
            "due": due or LONG_AGO,
        }
        if floors is not None:
            parameters["floors"] = list(floors)
        with prepared_cursor(connections[self.db]) as cursor:
            cursor.execute(sql, parameters)
            records = cursor.fetchall()
        # Each record is (now, seconds until due, rows found, *columns). Nothing found gives one of NULL columns.
        now, seconds, found = records[0][:3]
        if found is None:
            records, found = [], 0
        rows: list[OutboxRow] = []
        dangling: list[int] = []
        for _, _, _, *columns in records:
            if columns[_EVENT_ID] is None:
                dangling.append(columns[0])
                continue
            columns[_DATA] = json.loads(columns[_DATA])
            rows.append(OutboxRow.from_columns(columns))
        complete = found < size and len(records) == found
        return Batch(rows, dangling, complete, seconds, dt.datetime.fromtimestamp(now, dt.UTC))

    def bounded(self, size: int, *, most_bytes: int, without: Sequence[int] = ()) -> Batch:
        """The first rows of this queryset; the arguments are those of `next_batch`."""
        log: Any = self.model._meta.get_field("event").related_model
        length = Length(Cast("data", models.TextField()))
        unknown = models.Subquery(log.objects.filter(event_id=models.OuterRef("event_id")).values(length=length)[:1])
        counted = models.Case(models.When(size__gt=0, then="size"), default=Coalesce(unknown, 0))
        found = list(self.exclude(pk__in=without).annotate(bytes=counted).values_list("pk", "bytes")[:size])
        taken: list[int] = []
        before = 0
        for pk, its_bytes in found:
            if before and before + its_bytes > most_bytes:
                break
            taken.append(pk)
            before += its_bytes
        by_key = {row.pk: row for row in self.model.objects.using(self.db).filter(pk__in=taken).as_rows()}
        return Batch(
            rows=[by_key[pk] for pk in taken if pk in by_key],
            dangling=[pk for pk in taken if pk not in by_key],
            complete=len(found) < size and len(taken) == len(found),
        )

    def _log(self) -> str:
        log: Any = self.model._meta.get_field("event").related_model
        return table(log)

    def as_rows(self) -> list[OutboxRow]:
        """The rows, each with its event."""
        return [OutboxRow.from_columns(columns) for columns in self.values_list(*_FIELDS)]

    def remove(self, rows: Sequence[OutboxRow]) -> set[int]:
        """Delete rows that were sent, except those that were scheduled again meanwhile. Returns the primary keys of
        rows that another session holds: these may be there still."""
        sent = [row.pk for row in rows if not row.subscriber]
        targeted = {row.pk: (row.attempt, row.due) for row in rows if row.subscriber}
        try:
            if not targeted:
                self._delete(sent)
                return set()
            with committed(using=self.db):
                self._limit_waiting()
                locked = self.filter(pk__in=targeted).order_by("pk").select_for_update()
                sent += [
                    pk for pk, *state in locked.values_list("pk", "attempt", "due") if targeted[pk] == tuple(state)
                ]
                self._delete(sent)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            return set(self.remove_unlocked({row.pk: row for row in rows}))
        return set()

    def remove_unlocked(self, rows: dict[int, OutboxRow]) -> dict[int, OutboxRow]:
        """Delete rows that were sent, but for those that another session holds, without waiting. Returns these.

        A row of another event is left alone: the table may have been restored, and its numbers begun anew.
        """
        columns = ("pk", "event_id", "attempt", "due")

        def was_sent(pk: int, event_id: uuid.UUID, attempt: int, due: dt.datetime | None) -> bool:
            row = rows[pk]
            return event_id == row.event_id and (not row.subscriber or (attempt, due) == (row.attempt, row.due))

        with committed(using=self.db):
            has_skip_locked = connections[self.db].features.has_select_for_update_skip_locked
            # Compared under its lock: a row may be scheduled again until then.
            free = self.filter(pk__in=rows).order_by("pk").select_for_update(skip_locked=has_skip_locked)
            found = list(free.values_list(*columns))
            self._delete([one[0] for one in found if was_sent(*one)])
            held = self.filter(pk__in=rows.keys() - {pk for pk, *_ in found}).values_list(*columns)
            return {one[0]: rows[one[0]] for one in held if was_sent(*one)}

    def _limit_waiting(self) -> None:
        """Wait for locks only shortly in this transaction: a former leader that hangs may hold rows."""
        if connections[self.db].vendor == "postgresql":
            with connections[self.db].cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])

    def _delete(self, keys: Sequence[int]) -> None:
        connection = connections[self.db]
        if connection.vendor != "postgresql":
            self.filter(pk__in=keys).delete()
            return
        with prepared_cursor(connection) as cursor:
            cursor.execute(_delete(table(self.model)), [LOCK_TIMEOUT, keys])

    def postpone(self, seconds: float, *, keys: Sequence[int]) -> None:
        """Let rows wait for so many seconds from now."""
        due = database_now(connections[self.db]) + dt.timedelta(seconds=seconds)
        self.filter(pk__in=keys, claimed=False).update(due=due)

    def postpone_due(self, subscriber: str, seconds: float, *, limit: int) -> int:
        """Let the due rows of one subscriber wait for so many seconds from now; returns their number."""
        keys = list(self.due().filter(subscriber=subscriber).values_list("pk", flat=True)[:limit])
        if keys:
            self.postpone(seconds, keys=keys)
        return len(keys)

    def owe(self, rows: Sequence[tuple[OutboxRow, str, float]]) -> None:
        """Write targeted rows: each like a row there is, for a subscriber, and due after so many seconds. A row that
        exists for the same event, subscriber and run stays as it is: it may be a retry."""
        if not rows:
            return
        now = database_now(connections[self.db])
        targeted = [
            self.model(
                event_id=row.event_id,
                subscriber=subscriber,
                due=now + dt.timedelta(seconds=seconds),
                run=row.run,
                attempt=row.attempt,
                priority=row.priority,
                size=row.size,
            )
            for row, subscriber, seconds in rows
        ]
        self.bulk_create(targeted, ignore_conflicts=True, batch_size=ROWS_PER_STATEMENT)

    def schedule(self, rows: Sequence[OutboxMessage]) -> None:
        """Write targeted rows. A row that exists for the same event, subscriber and run takes the new time and attempt.
        A relay that sleeps wakes to learn the new time."""
        connection, outbox = connections[self.db], table(self.model)
        postgresql = connection.vendor == "postgresql"
        returning = f" RETURNING {notify_sleeping_relay(outbox)}" if postgresql else ""
        # One statement may write a row only once: of two messages for the same delivery, the later counts.
        by_key = list({DeliveryKey(row.event_id, row.subscriber, row.run): row for row in rows}.items())
        for start in range(0, len(by_key), ROWS_PER_STATEMENT):
            part = by_key[start : start + ROWS_PER_STATEMENT]
            values = ", ".join(["(%s, %s, %s, %s, %s, %s, false, %s)"] * len(part))
            parameters: list[Any] = []
            for key, row in part:
                due = row.due if postgresql else connection.ops.adapt_datetimefield_value(row.due)
                parameters += [*adapted(connection, key), due, row.attempt, row.priority, row.size]
            with connection.cursor() as cursor:
                cursor.execute(
                    f"INSERT INTO {outbox} (event_id, subscriber, run, due, attempt, priority, claimed, size)"
                    f" VALUES {values}"
                    " ON CONFLICT (event_id, subscriber, run) WHERE NOT subscriber = ''"
                    f" DO UPDATE SET due = excluded.due, attempt = excluded.attempt, claimed = false{returning}",
                    parameters,
                )
        if rows and not postgresql:
            transaction.on_commit(local_notification.set, using=connection.alias)


@cache
def _subscribers_waiting(outbox: str) -> str:
    """From one name in the index of new rows to the next."""
    first = f"SELECT min(subscriber) FROM {outbox} WHERE due IS NULL AND NOT claimed AND subscriber >"
    return f"""
        SELECT name FROM (
            WITH RECURSIVE waiting (name) AS (
                SELECT ({first} '') UNION ALL SELECT ({first} name) FROM waiting WHERE name IS NOT NULL
            ) SELECT name FROM waiting
        ) AS names WHERE name IS NOT NULL
    """


@cache
def _delete(outbox: str) -> str:
    """Does not wait for the disk: if a crash of the database brings rows back, they are published again, and the inbox
    recognizes them. Waits only shortly for rows that another session holds. The settings end with the transaction."""
    return f"""
        DELETE FROM {outbox} USING (
            SELECT set_config('synchronous_commit', 'off', true), set_config('lock_timeout', %s, true)
        ) AS unhurried
        WHERE id = ANY(%s)
    """
