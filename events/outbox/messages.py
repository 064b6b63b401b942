"""The outbox: what is owed."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections, models, transaction
from django.db.models.functions import Now

from ..db.dialect import ROWS_PER_STATEMENT, DeliveryKey, adapted
from ..db.prepared import prepared_cursor
from ..envelope import Envelope
from .notify import ALARM, ALARM_VALUES, local_wakeup

if TYPE_CHECKING:
    from ..models import OutboxMessage

#: From one name in the index of fresh rows to the next.
_OWED = "SELECT min(subscriber) FROM events_outboxmessage WHERE due IS NULL AND NOT claimed AND subscriber >"
_CREDITORS = f"""
    SELECT name FROM (
        WITH RECURSIVE owed (name) AS (
            SELECT ({_OWED} '') UNION ALL SELECT ({_OWED} name) FROM owed WHERE name IS NOT NULL
        ) SELECT name FROM owed
    ) AS creditors WHERE name IS NOT NULL
"""


_UNTIL_DUE = """
    SELECT extract(epoch FROM due - statement_timestamp()) FROM events_outboxmessage
    WHERE due IS NOT NULL AND NOT claimed ORDER BY due, id LIMIT 1
"""


#: Nobody waits until it is on the disk: rows that a crash of the database brings back are published again, and the
#: inbox knows them. The setting ends with the transaction.
_DELETE = """
    DELETE FROM events_outboxmessage USING (SELECT set_config('synchronous_commit', 'off', true)) AS unhurried
    WHERE id = ANY(%s)
"""


#: The columns of Owed, the event's in the order of Envelope's fields.
_OWN = ("id", "subscriber", "run", "attempt", "priority", "due")
_EVENT = tuple("event_id" if name == "id" else name for name in Envelope._fields)
_DATA = len(_OWN) + _EVENT.index("data")
_FIELDS = (*_OWN, *(f"event__{name}" for name in _EVENT))
_NEXT_UP = f"""
    SELECT ({_UNTIL_DUE}), fresh.* FROM (VALUES (1)) AS always LEFT JOIN (
        SELECT {", ".join([*(f"o.{name}" for name in _OWN), *(f"e.{name}" for name in _EVENT)])}
        FROM events_outboxmessage o JOIN events_storedevent e ON e.event_id = o.event_id
        WHERE o.subscriber = '' AND o.due IS NULL AND NOT o.claimed ORDER BY o.priority DESC, o.id LIMIT %s
    ) AS fresh ON true
"""


class Owed(NamedTuple):
    """A row of the outbox with its event: what carries it needs, without what a model costs."""

    pk: int
    subscriber: str
    run: int
    attempt: int
    priority: int
    due: dt.datetime | None
    envelope: Envelope

    @classmethod
    def read(cls, row: Sequence[Any]) -> Owed:
        """From the columns."""
        return cls(*row[: len(_OWN)], Envelope(*row[len(_OWN) :]))  # type: ignore[call-arg]

    @property
    def event_id(self) -> uuid.UUID:
        return self.envelope.id


class OutboxQuerySet(models.QuerySet["OutboxMessage"]):
    """The outbox: what is owed."""

    def fresh(self) -> OutboxQuerySet:
        """Rows for everyone, never tried, in the order of publishing."""
        return self.filter(subscriber="", due__isnull=True, claimed=False).order_by("-priority", "id")

    def ripe(self) -> OutboxQuerySet:
        """Rows whose time has come, the longest waiting first."""
        return self.filter(due__lte=Now(), claimed=False).order_by("due", "id")

    def owed_to(self, subscriber: str) -> OutboxQuerySet:
        """Rows expanded to one subscriber and not yet handed to it."""
        return self.filter(subscriber=subscriber, due__isnull=True, claimed=False).order_by("-priority", "id")

    def creditors(self) -> list[str]:
        """The subscribers that rows are owed to and not yet handed, in the order of their names.

        The index is read once per name, not once per row.
        """
        with connections[self.db].cursor() as cursor:
            cursor.execute(_CREDITORS)
            return [name for (name,) in cursor.fetchall()]

    def claims(self) -> list[tuple[int, int]]:
        """The claimed rows, each with the attempt it was claimed for."""
        return list(self.filter(claimed=True).order_by("id").values_list("pk", "attempt"))

    def until_due(self) -> float | None:
        """Seconds until the first row is due (0 or less: it is), by the database's clock; None if none waits."""
        connection = connections[self.db]
        if connection.vendor == "postgresql":
            with prepared_cursor(connection) as cursor:
                cursor.execute(_UNTIL_DUE)
                return next((float(seconds) for (seconds,) in cursor.fetchall()), None)
        waiting = self.filter(due__isnull=False, claimed=False).order_by("due", "id")
        wait = models.ExpressionWrapper(models.F("due") - Now(), models.DurationField())
        seconds = waiting.annotate(wait=wait).values_list("wait", flat=True)[:1]
        return next((one.total_seconds() for one in seconds), None)

    def remove(self, rows: Sequence[Owed]) -> None:
        """Delete rows that were carried, but not those that were scheduled anew meanwhile."""
        gone = [row.pk for row in rows if not row.subscriber]
        targeted = {row.pk: (row.attempt, row.due) for row in rows if row.subscriber}
        if not targeted:
            self._delete(gone)
            return
        with transaction.atomic(using=self.db):
            held = self.filter(pk__in=targeted).order_by("pk").select_for_update()
            gone += [pk for pk, *state in held.values_list("pk", "attempt", "due") if targeted[pk] == tuple(state)]
            self._delete(gone)

    def _delete(self, keys: Sequence[int]) -> None:
        connection = connections[self.db]
        if connection.vendor != "postgresql":
            self.filter(pk__in=keys).delete()
            return
        with prepared_cursor(connection) as cursor:
            cursor.execute(_DELETE, [keys])

    def next_up(self, most: int) -> tuple[list[Owed], float | None]:
        """`fresh()[:most].owed()` and `until_due()`: one question to the server instead of two, without what the ORM
        adds to the way of every single event."""
        connection = connections[self.db]
        if connection.vendor != "postgresql":
            return self.fresh()[:most].owed(), self.until_due()
        with prepared_cursor(connection) as cursor:
            cursor.execute(_NEXT_UP, [most])
            (until_due, *first), *others = cursor.fetchall()
        owed: list[Owed] = []
        for row in (first, *(others for _, *others in others)) if first[0] is not None else ():
            row[_DATA] = json.loads(row[_DATA])
            owed.append(Owed.read(row))
        # The database joins one row with rows in order; it does not promise to keep that.
        owed.sort(key=lambda row: (-row.priority, row.pk))
        return owed, None if until_due is None else float(until_due)

    def owed(self) -> list[Owed]:
        """The rows, each with its event."""
        return [Owed.read(row) for row in self.values_list(*_FIELDS)]

    def schedule(self, rows: Sequence[OutboxMessage]) -> None:
        """Owe these targeted rows; one already owed for the same event, subscriber and run takes the new time and
        attempt. A relay that sleeps wakes to learn the new time."""
        connection = connections[self.db]
        alarm, alarmed = (f" RETURNING {ALARM}", ALARM_VALUES) if connection.vendor == "postgresql" else ("", ())
        # A statement may write a row once only: of two for the same delivery, the later counts.
        owed = list({DeliveryKey(row.event_id, row.subscriber, row.run): row for row in rows}.items())
        for start in range(0, len(owed), ROWS_PER_STATEMENT):
            part = owed[start : start + ROWS_PER_STATEMENT]
            values = ", ".join(["(%s, %s, %s, %s, %s, %s, false)"] * len(part))
            parameters: list[Any] = []
            for key, row in part:
                moment = (
                    row.due if connection.vendor == "postgresql" else connection.ops.adapt_datetimefield_value(row.due)
                )
                parameters += [*adapted(connection, key), moment, row.attempt, row.priority]
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO events_outboxmessage (event_id, subscriber, run, due, attempt, priority, claimed)"
                    f" VALUES {values}"
                    " ON CONFLICT (event_id, subscriber, run) WHERE NOT subscriber = ''"
                    f" DO UPDATE SET due = excluded.due, attempt = excluded.attempt, claimed = false{alarm}",
                    [*parameters, *alarmed],
                )
        if rows and not alarm:
            transaction.on_commit(local_wakeup.set, using=connection.alias)
