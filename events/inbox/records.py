"""Records: the rows of the inbox, one per event, subscriber and run.

| state           | reason | meaning                                   | one more message of the same delivery  |
|-----------------|--------|-------------------------------------------|----------------------------------------|
| (no row)        |        | no outcome yet                            | runs                                   |
| retrying        | ''     | an attempt has begun, its outcome is open | runs; if redelivered, as a new attempt |
| retrying        | text   | an attempt has failed, its retry is owed; | runs if its attempt is higher          |
|                 |        | or none could begin yet (`postpone.py`)   |                                        |
| done            |        | the effect is committed                   | is acknowledged and skipped            |
| dead, discarded | text   | given up                                  | is acknowledged and skipped            |

`done`, `dead` and `discarded` are final: only a requeue or a replay opens such a row again, as `retrying`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections, transaction

from ..db.commit import committed
from ..db.dialect import ROWS_PER_STATEMENT, DeliveryKey, adapted, as_uuid, host_now
from ..db.discard import discard
from ..db.names import function, table
from ..db.prepared import call
from ..db.primary import PrimaryQuerySet

if TYPE_CHECKING:
    from .models import Delivery


class DeliveryQuerySet(PrimaryQuerySet["Delivery"]):
    """The inbox."""

    def record_done(
        self, keys: Iterable[DeliveryKey], *, attempts: dict[DeliveryKey, int], time_limit: int | None = None
    ) -> set[DeliveryKey]:
        """Mark deliveries done, in the transaction of their effect; returns those that were not final before. For the
        others the effect must not run.

        Rows are written in sorted order, so that two workers never wait for each other in a circle.

        time_limit: the milliseconds that each further statement of this transaction may take, where the database
        supports such a limit. Only in a transaction with a `DeliverySeal`.
        """
        return self._write(sorted(keys, key=DeliveryKey.order), "done", attempts, time_limit)

    @contextmanager
    def statements_limited(self, time_limit: int) -> Iterator[None]:
        """Limit every statement of this connection to `time_limit` milliseconds while inside, in any transaction."""
        connection = connections[self.db]
        if connection.vendor != "postgresql":
            yield
            return
        if getattr(settings, "DATABASE_DIRECT_URL", ""):
            # A pooler of transactions is between: a setting of the session would be left to strangers.
            with connection.execute_wrapper(partial(_limited, time_limit)):
                yield
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(time_limit)])
        try:
            yield
        finally:
            if connection.connection is not None and not connection.is_usable():
                discard(connection)  # else its limit would stay with the pool
            elif connection.connection is not None:
                with connection.cursor() as cursor:
                    cursor.execute("RESET statement_timeout")

    def is_open(self, key: DeliveryKey) -> bool:
        """Whether a delivery has no final state."""
        final = self.filter(event_id=key.event_id, subscriber=key.subscriber, run=key.run).exclude(state="retrying")
        return not final.exists()

    def begin_attempt(self, key: DeliveryKey, *, attempt: int, limit: int) -> int | None:
        """Count an attempt before it runs, in a transaction of its own; returns its number.

        The number exceeds `attempt`, the message's own, by the attempts that began and had no outcome. From `limit` of
        them on, no further one is counted.

        None if the delivery is final, or if the failure of this attempt is recorded: then its retry is in the outbox.
        Raises OperationalError if another run of the delivery holds the row for longer than 200 ms: the last statement
        of a killed worker continues in the server, and a worker that lost its broker finishes its work.
        """
        try:
            with committed(using=self.db):
                number = self._count(key, attempt)
                if number is not None and number - attempt >= limit:
                    raise _LimitReachedError
        except _LimitReachedError:
            pass
        return number

    def _count(self, key: DeliveryKey, attempt: int) -> int | None:
        connection = connections[self.db]
        lock_timeout = _LOCK_TIMEOUT if connection.vendor == "postgresql" else ""
        delivery = table(self.model)
        with connection.cursor() as cursor:
            # `reason` is set with a failure, and emptied as the next attempt begins.
            cursor.execute(
                f"INSERT INTO {delivery} AS delivery (event_id, subscriber, run, state, attempts, at, reason)"
                f" SELECT %s, %s, %s, 'retrying', %s, %s, ''{lock_timeout} WHERE true"
                " ON CONFLICT (event_id, subscriber, run) DO UPDATE SET reason = '', attempts = CASE"
                " WHEN delivery.attempts + 1 > excluded.attempts THEN delivery.attempts + 1"
                " ELSE excluded.attempts END"
                " WHERE delivery.state = 'retrying'"
                " AND (delivery.reason = '' OR delivery.attempts < excluded.attempts)"
                " RETURNING attempts",
                [*adapted(connection, key), attempt, host_now(connection)],
            )
            row = cursor.fetchone()
            return None if row is None else int(row[0])

    def record_failure(
        self, key: DeliveryKey, *, attempts: int, dead: bool, reason: str, body: bytes | None
    ) -> Delivery | None:
        """Record a failed attempt; returns the row, or None if the delivery is final: another copy of the message was
        faster.

        body: the message's bytes; a dead letter keeps them. 500 characters of the reason are kept.
        """
        if not self._write([key], "dead" if dead else "retrying", {key: attempts}):
            return None
        delivery = self.get(event_id=key.event_id, subscriber=key.subscriber, run=key.run)
        delivery.reason = reason[:500]
        delivery.body = body if dead else None
        delivery.save(update_fields=["reason", "body"])
        return delivery

    def postponed_since(self, key: DeliveryKey, *, attempt: int, reason: str, now: dt.datetime) -> dt.datetime | None:
        """Record that an attempt could not begin, in the caller's transaction; returns since when it could not for this
        reason, or None if the delivery is final."""
        # An attempt counts once it has begun: a copy that the broker marks as redelivered must run, too.
        state = {"attempts": attempt - 1, "reason": reason[:500]}
        row, is_new = self.get_or_create(**key._asdict(), defaults={"state": "retrying", "at": now, **state})
        if is_new:
            return now
        row = self.select_for_update().get(pk=row.pk)
        if row.state != "retrying":
            return None
        row.at = row.at if row.reason == state["reason"] else now
        row.attempts, row.reason = attempt - 1, reason[:500]
        row.save(update_fields=["attempts", "reason", "at"])
        return row.at

    def _write(
        self, keys: Sequence[DeliveryKey], state: str, attempts: dict[DeliveryKey, int], time_limit: int | None = None
    ) -> set[DeliveryKey]:
        connection = connections[self.db]
        if connection.vendor == "postgresql":
            return _write_on_postgresql(connection, self.model, keys, state, attempts, time_limit)
        return _write_elsewhere(connection, self.model, keys, state, attempts)


class _LimitReachedError(Exception):
    """Rolls back the attempt that was counted one too many."""


#: Milliseconds that `begin_attempt` waits for a row which another run holds: other messages wait for this thread.
_LOCK_TIMEOUT = " FROM (SELECT set_config('lock_timeout', '200', true)) AS lock_timeout"


def _limited(time_limit: int, execute: Any, sql: str, parameters: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run a statement with a limit that ends with its transaction."""
    connection = context["connection"]
    with nullcontext() if connection.in_atomic_block else transaction.atomic(using=connection.alias):
        connection.connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(time_limit)])
        return execute(sql, parameters, many, context)


def _write_on_postgresql(
    connection: Any,
    model: type[Delivery],
    keys: Sequence[DeliveryKey],
    state: str,
    attempts: dict[DeliveryKey, int],
    time_limit: int | None,
) -> set[DeliveryKey]:
    # Arrays as text: psycopg passes text on, but converts each value of a list in Python.
    columns = (
        [key.event_id.hex for key in keys],
        [f'"{key.subscriber}"' for key in keys],
        [str(key.run) for key in keys],
        [str(attempts[key]) for key in keys],
    )
    arrays = (f"{{{','.join(column)}}}" for column in columns)
    # Migrations 0004 and 0006 have the functions. They return the places, from 1, of the deliveries that were final.
    name = "write_deliveries" if time_limit is None else "open_deliveries"
    final = call(connection, function(model, name), *arrays, state, time_limit)
    return set(keys).difference(keys[int(place) - 1] for place in final.split())


def _write_elsewhere(
    connection: Any,
    model: type[Delivery],
    keys: Sequence[DeliveryKey],
    state: str,
    attempts: dict[DeliveryKey, int],
) -> set[DeliveryKey]:
    now = host_now(connection)
    written: set[DeliveryKey] = set()
    for start in range(0, len(keys), ROWS_PER_STATEMENT):
        part = keys[start : start + ROWS_PER_STATEMENT]
        values = ", ".join(["(%s, %s, %s, %s, %s, %s, '')"] * len(part))
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table(model)} AS delivery (event_id, subscriber, run, state, attempts, at, reason)"
                f" VALUES {values} ON CONFLICT (event_id, subscriber, run) DO UPDATE"
                " SET state = excluded.state, at = excluded.at,"
                " attempts = max(delivery.attempts, excluded.attempts)"
                " WHERE delivery.state = 'retrying' RETURNING event_id, subscriber, run",
                [value for key in part for value in (*adapted(connection, key), state, attempts[key], now)],
            )
            written |= {DeliveryKey(as_uuid(event_id), name, run) for event_id, name, run in cursor.fetchall()}
    return written
