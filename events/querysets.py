"""The verbs of the event tables, each a statement or two, for PostgreSQL and SQLite alike."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections, models, router, transaction
from django.db.models import Q
from django.db.models.functions import Now

from events.prepared import prepared_cursor

if TYPE_CHECKING:
    from events.models import Delivery, OutboxMessage, Process, StoredEvent  # noqa: F401 - in class headers

#: The pair that names the advisory lock a sleeping relay holds ("airy", "wake").
WAKE_LOCK = (0x61697279, 0x77616B65)
WAKE_CHANNEL = "events_outbox"
#: Set when a transaction of this process committed an event to a database that has no notifications.
local_wakeup = threading.Event()
ROWS_PER_STATEMENT = 100

#: The relay holds the wake lock exclusively while it sleeps. A transaction that gets it shared knows the relay is
#: awake, and keeps it from falling asleep before it ends; one that does not get it wakes the relay as it commits.
_ALARM = "CASE WHEN pg_try_advisory_xact_lock_shared(%s, %s) THEN NULL ELSE pg_notify(%s, '') END"
_ALARM_VALUES = (*WAKE_LOCK, WAKE_CHANNEL)

LOG_COLUMNS = (
    "event_id, topic, version, source, subject, time, data, correlation_id, causation_id, traceparent, suppressed"
)


class LogLine(NamedTuple):
    """One event as it is written to the log; `data` is JSON text."""

    event_id: uuid.UUID
    topic: str
    version: int
    source: str
    subject: str
    time: dt.datetime
    data: str
    correlation_id: uuid.UUID
    causation_id: uuid.UUID | None
    traceparent: str = ""
    suppressed: str = ""


class StoredEventQuerySet(models.QuerySet["StoredEvent"]):
    """The log."""

    def append(self, lines: Sequence[LogLine], *, priority: int = 0, delay: dt.timedelta | None = None) -> None:
        """Write events to the log and, unless suppressed, to the outbox, in the order given and in the caller's
        transaction."""
        connection = connections[router.db_for_write(self.model)]
        write = _append_on_postgresql if connection.vendor == "postgresql" else _append_elsewhere
        for start in range(0, len(lines), ROWS_PER_STATEMENT):
            write(connection, lines[start : start + ROWS_PER_STATEMENT], priority, delay)

    def newest(self) -> int:
        """The end of the log: the highest sequence there is, 0 if there is none."""
        return self.aggregate(newest=models.Max("sequence"))["newest"] or 0

    def topics(self) -> list[str]:
        """Every topic in the log, one look at the index for each."""
        with connections[self.db].cursor() as cursor:
            cursor.execute(
                "WITH RECURSIVE found(topic) AS (SELECT min(topic) FROM events_storedevent UNION ALL"
                " SELECT (SELECT min(topic) FROM events_storedevent WHERE topic > found.topic) FROM found"
                " WHERE found.topic IS NOT NULL) SELECT topic FROM found WHERE topic IS NOT NULL"
            )
            return [topic for (topic,) in cursor.fetchall()]

    def adopt(self, lines: Sequence[LogLine]) -> None:
        """Take events into the log that others published, unless they are there: a retry needs their content."""
        missing = {line.event_id for line in lines} - set(
            self.filter(event_id__in=[line.event_id for line in lines]).values_list("event_id", flat=True)
        )
        self.bulk_create(
            [
                self.model(**line._asdict() | {"data": json.loads(line.data)})
                for line in lines
                if line.event_id in missing
            ],
            ignore_conflicts=True,
        )


def _append_on_postgresql(connection: Any, lines: Sequence[LogLine], priority: int, delay: dt.timedelta | None) -> None:
    parameters = [value for line in lines for value in (*line, priority)]
    with prepared_cursor(connection) as cursor:
        cursor.execute(_append_statement(len(lines)), [*parameters, delay, priority, *_ALARM_VALUES])


@cache
def _append_statement(count: int) -> str:
    values = ", ".join(["(%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s)"] * count)
    return f"""
        WITH logged AS (
            INSERT INTO events_storedevent ({LOG_COLUMNS}, priority) VALUES {values} RETURNING event_id, suppressed
        )
        INSERT INTO events_outboxmessage (event_id, subscriber, due, run, attempt, priority, claimed)
        SELECT event_id, '', statement_timestamp() + %s::interval, 0, 1, %s, false FROM logged WHERE suppressed = ''
        RETURNING {_ALARM}
    """


def _append_elsewhere(connection: Any, lines: Sequence[LogLine], priority: int, delay: dt.timedelta | None) -> None:
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO events_storedevent ({LOG_COLUMNS}, priority) VALUES ({', '.join(['%s'] * 12)})",
            [
                (
                    *line._replace(
                        event_id=line.event_id.hex,  # type: ignore[arg-type]
                        time=adapt(line.time),
                        correlation_id=line.correlation_id.hex,  # type: ignore[arg-type]
                        causation_id=line.causation_id and line.causation_id.hex,  # type: ignore[arg-type]
                    ),
                    priority,
                )
                for line in lines
            ],
        )
        due = None if delay is None else adapt(database_now(connection) + delay)
        cursor.executemany(
            "INSERT INTO events_outboxmessage (event_id, subscriber, due, run, attempt, priority, claimed)"
            " VALUES (%s, '', %s, 0, 1, %s, false)",
            [(line.event_id.hex, due, priority) for line in lines if not line.suppressed],
        )
    transaction.on_commit(local_wakeup.set, using=connection.alias)


def database_now(connection: Any) -> dt.datetime:
    """The database's clock: every due and lease time is read off it, whatever the hosts' clocks say."""
    if connection.vendor != "postgresql":
        return dt.datetime.now(dt.UTC)  # SQLite runs in this process: its clock is this host's
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


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


@cache
def _columns(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(field.attname for field in model._meta.concrete_fields)


@cache
def _first_fresh(own: tuple[str, ...], theirs: tuple[str, ...], most: int) -> str:
    columns = ", ".join([*(f"o.{name}" for name in own), *(f"e.{name}" for name in theirs)])
    return f"""
        SELECT {columns} FROM events_outboxmessage o JOIN events_storedevent e ON e.event_id = o.event_id
        WHERE o.subscriber = '' AND o.due IS NULL AND NOT o.claimed ORDER BY o.priority DESC, o.id LIMIT {most}
    """


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

    def remove(self, rows: Sequence[OutboxMessage]) -> None:
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
            cursor.execute("DELETE FROM events_outboxmessage WHERE id = ANY(%s)", [keys])

    def first_fresh(self, most: int) -> list[OutboxMessage]:
        """`fresh()[:most].with_events()`, without what the ORM adds to the way of every single event."""
        connection = connections[self.db]
        if connection.vendor != "postgresql":
            return self.fresh()[:most].with_events()
        event_model: Any = self.model._meta.get_field("event").related_model
        own, theirs = _columns(self.model), _columns(event_model)
        data = theirs.index("data")
        with prepared_cursor(connection) as cursor:
            cursor.execute(_first_fresh(own, theirs, most))
            rows = [(list(row[: len(own)]), list(row[len(own) :])) for row in cursor.fetchall()]
        messages: list[OutboxMessage] = []
        for outbox, log in rows:
            log[data] = json.loads(log[data])
            message: Any = self.model.from_db(self.db, own, outbox)
            message.event = event_model.from_db(self.db, theirs, log)
            messages.append(message)
        return messages

    def with_events(self) -> list[OutboxMessage]:
        """The rows, each with its event."""
        return list(self.select_related("event"))

    def schedule(self, rows: Sequence[OutboxMessage]) -> None:
        """Owe these targeted rows; one already owed for the same event, subscriber and run takes the new time and
        attempt. A relay that sleeps wakes to learn the new time."""
        connection = connections[self.db]
        alarm, alarmed = (f" RETURNING {_ALARM}", _ALARM_VALUES) if connection.vendor == "postgresql" else ("", ())
        # A statement may write a row once only: of two for the same delivery, the later counts.
        owed = list({DeliveryKey(row.event_id, row.subscriber, row.run): row for row in rows}.items())
        for start in range(0, len(owed), ROWS_PER_STATEMENT):
            part = owed[start : start + ROWS_PER_STATEMENT]
            values = ", ".join(["(%s, %s, %s, %s, %s, %s, false)"] * len(part))
            parameters: list[Any] = []
            for key, row in part:
                adapted = (
                    row.due if connection.vendor == "postgresql" else connection.ops.adapt_datetimefield_value(row.due)
                )
                parameters += [*_adapted(connection, key), adapted, row.attempt, row.priority]
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


class DeliveryKey(NamedTuple):
    """What the inbox is unique by."""

    event_id: uuid.UUID
    subscriber: str
    run: int

    def order(self) -> tuple[int, str, int]:
        """What to sort by: numbers compare ten times as fast as UUIDs."""
        return self.event_id.int, self.subscriber, self.run


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

    def has_begun(self, key: DeliveryKey) -> bool:
        """Whether an attempt was counted that has not led to an outcome."""
        return self.filter(
            event_id=key.event_id, subscriber=key.subscriber, run=key.run, state="retrying", attempts__gt=0
        ).exists()

    def begin(self, key: DeliveryKey, *, attempt: int) -> int | None:
        """Count an attempt before it runs; returns its number, or None if the delivery is final."""
        connection = connections[self.db]
        with transaction.atomic(using=self.db), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO events_delivery (event_id, subscriber, run, state, attempts, at, reason)"
                " VALUES (%s, %s, %s, 'retrying', %s, %s, '')"
                " ON CONFLICT (event_id, subscriber, run) DO UPDATE SET attempts = CASE"
                " WHEN events_delivery.attempts + 1 > excluded.attempts THEN events_delivery.attempts + 1"
                " ELSE excluded.attempts END"
                " WHERE events_delivery.state = 'retrying' RETURNING attempts",
                [*_adapted(connection, key), attempt, _now(connection)],
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


def _write_on_postgresql(
    connection: Any, keys: Sequence[DeliveryKey], state: str, attempts: dict[DeliveryKey, int], time_limit: int | None
) -> set[DeliveryKey]:
    columns = (
        [key.event_id.hex for key in keys],
        [f'"{key.subscriber}"' for key in keys],
        [str(key.run) for key in keys],
        [str(attempts[key]) for key in keys],
    )
    with prepared_cursor(connection) as cursor:
        # psycopg would look at each value of a list in Python; an array's text it passes on.
        cursor.execute(WRITE_DELIVERIES, [*(f"{{{','.join(column)}}}" for column in columns), state, time_limit])
        ((final, _),) = cursor.fetchall()
    return set(keys).difference(keys[place - 1] for place in final)


#: One statement for any number of rows, planned once; it names the few that were final instead of the many that were
#: not. The limit lasts as long as the transaction and binds its later statements. A volatile function in the outermost
#: SELECT always runs.
WRITE_DELIVERIES = """
    WITH given AS (
        SELECT * FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::int[])
        WITH ORDINALITY AS given (event_id, subscriber, run, attempts, place)
    ), written AS (
        INSERT INTO events_delivery (event_id, subscriber, run, state, attempts, at, reason)
        SELECT event_id, subscriber, run, %s, attempts, statement_timestamp(), '' FROM given ORDER BY place
        ON CONFLICT (event_id, subscriber, run) DO UPDATE SET state = excluded.state, at = excluded.at,
            attempts = greatest(events_delivery.attempts, excluded.attempts)
        WHERE events_delivery.state = 'retrying' RETURNING event_id, subscriber, run
    )
    SELECT
        array(SELECT place FROM given WHERE (event_id, subscriber, run) NOT IN (SELECT * FROM written)),
        set_config('statement_timeout', coalesce(%s::int::text, current_setting('statement_timeout')), true)
"""


def _write_elsewhere(
    connection: Any, keys: Sequence[DeliveryKey], state: str, attempts: dict[DeliveryKey, int]
) -> set[DeliveryKey]:
    now = _now(connection)
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
                [value for key in part for value in (*_adapted(connection, key), state, attempts[key], now)],
            )
            written |= {DeliveryKey(_as_uuid(event_id), name, run) for event_id, name, run in cursor.fetchall()}
    return written


class ProcessQuerySet(models.QuerySet["Process"]):
    """Workers and relays."""

    #: A process that has not written for so long is taken for dead.
    SILENCE = dt.timedelta(seconds=15)
    #: So long the row of one that died is shown.
    KEPT = dt.timedelta(days=1)

    def alive(self) -> ProcessQuerySet:
        """Those whose heartbeat is fresh."""
        return self.filter(beat_at__gt=Now() - self.SILENCE)

    def with_silence(self) -> ProcessQuerySet:
        """Each with `silent`: whether its heartbeat is overdue."""
        return self.annotate(silent=~Q(beat_at__gt=Now() - self.SILENCE))

    def outdated(self, *, kind: str, host: str, pid: int) -> ProcessQuerySet:
        """The rows that mean nothing once a process of this name begins: the long dead, and the name's last bearer."""
        return self.filter(Q(beat_at__lt=Now() - self.KEPT) | Q(kind=kind, host=host, pid=pid))


def _adapted(connection: Any, key: DeliveryKey) -> tuple[Any, str, int]:
    event_id = key.event_id if connection.features.has_native_uuid_field else key.event_id.hex
    return event_id, key.subscriber, key.run


def _as_uuid(value: Any) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def _now(connection: Any) -> Any:
    now = dt.datetime.now(dt.UTC)
    return now if connection.vendor == "postgresql" else connection.ops.adapt_datetimefield_value(now)
