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

from django.db import connections, models, transaction
from django.db.models.functions import Now

from ..db.dialect import ROWS_PER_STATEMENT, DeliveryKey, adapted
from ..db.names import table
from ..db.prepared import prepared_cursor
from ..db.primary import PrimaryQuerySet
from ..envelope import Envelope
from .notify import local_notification, notify_sleeping_relay

if TYPE_CHECKING:
    from .models import OutboxMessage

#: The columns of OutboxRow: its own, then the event's in the order of Envelope's fields.
_OWN = ("id", "subscriber", "run", "attempt", "priority", "due")
_EVENT = tuple("event_id" if name == "id" else name for name in Envelope._fields)
_DATA = len(_OWN) + _EVENT.index("data")
_FIELDS = (*_OWN, *(f"event__{name}" for name in _EVENT))


class OutboxRow(NamedTuple):
    """A row of the outbox with its event: what is needed to send it, without the cost of a model."""

    pk: int
    subscriber: str
    run: int
    attempt: int
    priority: int
    due: dt.datetime | None
    envelope: Envelope

    @classmethod
    def from_columns(cls, row: Sequence[Any]) -> OutboxRow:
        """From the values of `_OWN` and `_EVENT`, in this order."""
        return cls(*row[: len(_OWN)], Envelope(*row[len(_OWN) :]))  # type: ignore[call-arg]

    @property
    def event_id(self) -> uuid.UUID:
        return self.envelope.id


class OutboxQuerySet(PrimaryQuerySet["OutboxMessage"]):
    """The outbox."""

    def new(self) -> OutboxQuerySet:
        """Rows for every subscriber, never tried, in the order of publishing."""
        return self.filter(subscriber="", due__isnull=True, claimed=False).order_by("-priority", "id")

    def due(self) -> OutboxQuerySet:
        """Rows whose time has come, the longest waiting first."""
        return self.filter(due__lte=Now(), claimed=False).order_by("due", "id")

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
                cursor.execute(_seconds_until_due(table(self.model)))
                return next((float(seconds) for (seconds,) in cursor.fetchall()), None)
        waiting = self.filter(due__isnull=False, claimed=False).order_by("due", "id")
        wait = models.ExpressionWrapper(models.F("due") - Now(), models.DurationField())
        seconds = waiting.annotate(wait=wait).values_list("wait", flat=True)[:1]
        return next((one.total_seconds() for one in seconds), None)

    def next_batch(self, size: int) -> tuple[list[OutboxRow], float | None]:
        """`new()[:size].as_rows()` and `seconds_until_due()`, on PostgreSQL in one round trip and without the ORM:
        every single event takes this way."""
        connection = connections[self.db]
        if connection.vendor != "postgresql":
            return self.new()[:size].as_rows(), self.seconds_until_due()
        with prepared_cursor(connection) as cursor:
            cursor.execute(_next_batch(table(self.model), self._log()), [size])
            # Each record is (seconds until due, *columns). An empty outbox gives one record of NULL columns.
            (seconds, *first), *others = cursor.fetchall()
        rows: list[OutboxRow] = []
        for columns in (first, *(columns for _, *columns in others)) if first[0] is not None else ():
            columns[_DATA] = json.loads(columns[_DATA])
            rows.append(OutboxRow.from_columns(columns))
        # PostgreSQL joins in order today, but does not promise it.
        rows.sort(key=lambda row: (-row.priority, row.pk))
        return rows, None if seconds is None else float(seconds)

    def _log(self) -> str:
        log: Any = self.model._meta.get_field("event").related_model
        return table(log)

    def as_rows(self) -> list[OutboxRow]:
        """The rows, each with its event."""
        return [OutboxRow.from_columns(columns) for columns in self.values_list(*_FIELDS)]

    def remove(self, rows: Sequence[OutboxRow]) -> None:
        """Delete rows that were sent, except those that were scheduled again meanwhile."""
        sent = [row.pk for row in rows if not row.subscriber]
        targeted = {row.pk: (row.attempt, row.due) for row in rows if row.subscriber}
        if not targeted:
            self._delete(sent)
            return
        with transaction.atomic(using=self.db):
            locked = self.filter(pk__in=targeted).order_by("pk").select_for_update()
            sent += [pk for pk, *state in locked.values_list("pk", "attempt", "due") if targeted[pk] == tuple(state)]
            self._delete(sent)

    def _delete(self, keys: Sequence[int]) -> None:
        connection = connections[self.db]
        if connection.vendor != "postgresql":
            self.filter(pk__in=keys).delete()
            return
        with prepared_cursor(connection) as cursor:
            cursor.execute(_delete(table(self.model)), [keys])

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
            values = ", ".join(["(%s, %s, %s, %s, %s, %s, false)"] * len(part))
            parameters: list[Any] = []
            for key, row in part:
                due = row.due if postgresql else connection.ops.adapt_datetimefield_value(row.due)
                parameters += [*adapted(connection, key), due, row.attempt, row.priority]
            with connection.cursor() as cursor:
                cursor.execute(
                    f"INSERT INTO {outbox} (event_id, subscriber, run, due, attempt, priority, claimed)"
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
def _seconds_until_due(outbox: str) -> str:
    return f"""
        SELECT extract(epoch FROM due - statement_timestamp()) FROM {outbox}
        WHERE due IS NOT NULL AND NOT claimed ORDER BY due, id LIMIT 1
    """


@cache
def _next_batch(outbox: str, log: str) -> str:
    columns = ", ".join([*(f"o.{name}" for name in _OWN), *(f"e.{name}" for name in _EVENT)])
    return f"""
        SELECT ({_seconds_until_due(outbox)}), batch.* FROM (VALUES (1)) AS always LEFT JOIN (
            SELECT {columns} FROM {outbox} o JOIN {log} e ON e.event_id = o.event_id
            WHERE o.subscriber = '' AND o.due IS NULL AND NOT o.claimed ORDER BY o.priority DESC, o.id LIMIT %s
        ) AS batch ON true
    """


@cache
def _delete(outbox: str) -> str:
    """Does not wait for the disk: if a crash of the database brings rows back, they are published again, and the inbox
    recognizes them. The setting ends with the transaction."""
    return f"""
        DELETE FROM {outbox} USING (SELECT set_config('synchronous_commit', 'off', true)) AS unhurried
        WHERE id = ANY(%s)
    """
