"""The inbox: what became of each event at each subscriber."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections, models, transaction

from ..db.dialect import ROWS_PER_STATEMENT, DeliveryKey, adapted, as_uuid, host_now
from ..db.prepared import call

if TYPE_CHECKING:
    from ..models import Delivery


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """The inbox."""

    def claim(
        self, keys: Iterable[DeliveryKey], *, attempts: dict[DeliveryKey, int], time_limit: int | None = None
    ) -> set[DeliveryKey]:
        """Mark deliveries done, in the transaction of their effect; returns those that were not final before.

        Rows are taken in sorted order, so that two workers never wait for each other in a circle. What is left out
        was done, dead or discarded: the effect must not run.

        time_limit: milliseconds that a statement may take in the rest of this transaction, where the database can be
        told so.
        """
        return self._write(sorted(keys, key=DeliveryKey.order), "done", attempts, time_limit)

    @contextmanager
    def statements_limited(self, time_limit: int) -> Iterator[None]:
        """Let no statement of this connection take longer than so many milliseconds while inside, in whatever
        transaction."""
        connection = connections[self.db]
        if connection.vendor != "postgresql":
            yield
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(time_limit)])
        try:
            yield
        finally:
            if connection.is_usable():
                with connection.cursor() as cursor:
                    cursor.execute("RESET statement_timeout")

    def is_open(self, key: DeliveryKey) -> bool:
        """Whether a delivery still waits for its outcome."""
        final = self.filter(event_id=key.event_id, subscriber=key.subscriber, run=key.run).exclude(state="retrying")
        return not final.exists()

    def begin(self, key: DeliveryKey, *, attempt: int, most: int) -> int | None:
        """Count an attempt before it runs; returns its number. What that exceeds the message's own `attempt` by is how
        often it was begun without an outcome; from `most` times on it is not counted any more.

        None if the delivery is final, or if the failure of this attempt is on record: then its retry is owed already.
        Raises OperationalError if another run of the delivery is under way for longer than a moment: a killed worker's
        last statement goes on in the server, and a worker that lost its broker finishes its work.
        """
        with transaction.atomic(using=self.db):
            number = self._count(key, attempt)
            if number is not None and number - attempt >= most:
                transaction.set_rollback(True, using=self.db)
        return number

    def _count(self, key: DeliveryKey, attempt: int) -> int | None:
        connection = connections[self.db]
        impatient = _IMPATIENT if connection.vendor == "postgresql" else ""
        with connection.cursor() as cursor:
            # A reason is given with a failure, and taken back as the next attempt begins.
            cursor.execute(
                "INSERT INTO events_delivery (event_id, subscriber, run, state, attempts, at, reason)"
                f" SELECT %s, %s, %s, 'retrying', %s, %s, ''{impatient} WHERE true"
                " ON CONFLICT (event_id, subscriber, run) DO UPDATE SET reason = '', attempts = CASE"
                " WHEN events_delivery.attempts + 1 > excluded.attempts THEN events_delivery.attempts + 1"
                " ELSE excluded.attempts END"
                " WHERE events_delivery.state = 'retrying'"
                " AND (events_delivery.reason = '' OR events_delivery.attempts < excluded.attempts)"
                " RETURNING attempts",
                [*adapted(connection, key), attempt, host_now(connection)],
            )
            row = cursor.fetchone()
            return row and row[0]

    def fail(self, key: DeliveryKey, *, attempts: int, dead: bool, reason: str, body: bytes | None) -> Delivery | None:
        """Record a failed run; None if the delivery was final already (another copy of the message was faster)."""
        if not self._write([key], "dead" if dead else "retrying", {key: attempts}):
            return None
        delivery = self.get(event_id=key.event_id, subscriber=key.subscriber, run=key.run)
        delivery.reason = reason[:500]
        delivery.body = body if dead else None
        delivery.save(update_fields=["reason", "body"])
        return delivery

    def _write(
        self, keys: Sequence[DeliveryKey], state: str, attempts: dict[DeliveryKey, int], time_limit: int | None = None
    ) -> set[DeliveryKey]:
        connection = connections[self.db]
        if connection.vendor == "postgresql":
            return _write_on_postgresql(connection, keys, state, attempts, time_limit)
        return _write_elsewhere(connection, keys, state, attempts)


#: Others wait for their turn meanwhile.
_IMPATIENT = " FROM (SELECT set_config('lock_timeout', '200', true)) AS impatient"


def _write_on_postgresql(
    connection: Any, keys: Sequence[DeliveryKey], state: str, attempts: dict[DeliveryKey, int], time_limit: int | None
) -> set[DeliveryKey]:
    # psycopg would look at each value of a list in Python; an array's text it passes on.
    columns = (
        [key.event_id.hex for key in keys],
        [f'"{key.subscriber}"' for key in keys],
        [str(key.run) for key in keys],
        [str(attempts[key]) for key in keys],
    )
    arrays = (f"{{{','.join(column)}}}" for column in columns)
    final = call(connection, "events_write_deliveries", *arrays, state, time_limit)
    return set(keys).difference(keys[int(place) - 1] for place in final.split())


def _write_elsewhere(
    connection: Any, keys: Sequence[DeliveryKey], state: str, attempts: dict[DeliveryKey, int]
) -> set[DeliveryKey]:
    now = host_now(connection)
    written: set[DeliveryKey] = set()
    for start in range(0, len(keys), ROWS_PER_STATEMENT):
        part = keys[start : start + ROWS_PER_STATEMENT]
        values = ", ".join(["(%s, %s, %s, %s, %s, %s, '')"] * len(part))
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO events_delivery (event_id, subscriber, run, state, attempts, at, reason)"
                f" VALUES {values} ON CONFLICT (event_id, subscriber, run) DO UPDATE"
                " SET state = excluded.state, at = excluded.at,"
                " attempts = max(events_delivery.attempts, excluded.attempts)"
                " WHERE events_delivery.state = 'retrying' RETURNING event_id, subscriber, run",
                [value for key in part for value in (*adapted(connection, key), state, attempts[key], now)],
            )
            written |= {DeliveryKey(as_uuid(event_id), name, run) for event_id, name, run in cursor.fetchall()}
    return written
