"""The log: append-only, written in the transaction of the change."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections, models, router, transaction
from pydantic_core import to_json

from ..db.dialect import ROWS_PER_STATEMENT, database_now, parts
from ..db.names import table
from ..db.partitions import partition_names
from ..db.prepared import prepared_cursor
from ..db.primary import PrimaryQuerySet
from .notify import local_notification, notify_sleeping_relay

if TYPE_CHECKING:
    from .models import StoredEvent  # noqa: F401 - in a class header

LOG_COLUMNS = (
    "event_id, topic, version, source, subject, time, data, correlation_id, causation_id, traceparent, suppressed"
)
#: With this the log marks an event that is for one subscriber alone, in the column of what is suppressed: to all others
#: it is just that.
ONLY = "→ "
MARK_LENGTH = 200


def only_for(subscriber: str) -> str:
    """The mark of an event that is for this subscriber alone. Of a name that does not fit, a digest stands for the
    end."""
    mark = ONLY + subscriber
    if len(mark) <= MARK_LENGTH:
        return mark
    return f"{mark[: MARK_LENGTH - 33]}~{hashlib.sha256(subscriber.encode()).hexdigest()[:32]}"


#: The index is read once per topic, not once per event.
_NEWEST_OF_TOPICS = """
    WITH RECURSIVE found(topic) AS (
        SELECT min(topic) FROM {log}
        UNION ALL SELECT (SELECT min(topic) FROM {log} WHERE topic > found.topic) FROM found
        WHERE found.topic IS NOT NULL
    )
    SELECT topic, (SELECT max(sequence) FROM {log} AS line WHERE line.topic = found.topic) AS newest
    FROM found WHERE topic IS NOT NULL
"""


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


class Tables(NamedTuple):
    """The quoted names of the tables that an event is written to."""

    log: str
    outbox: str


class StoredEventQuerySet(PrimaryQuerySet["StoredEvent"]):
    """The log."""

    def append(self, lines: Sequence[LogLine], *, priority: int = 0, delay: dt.timedelta | None = None) -> None:
        """Write events to the log and, unless suppressed, to the outbox, in the order given and in the caller's
        transaction."""
        connection = connections[router.db_for_write(self.model)]
        tables = _tables(self.model)
        write, chunk = (
            (_append_on_postgresql, JSON_ROWS_PER_STATEMENT)
            if connection.vendor == "postgresql"
            else (_append_elsewhere, ROWS_PER_STATEMENT)
        )
        for part in parts(lines, rows_at_most=chunk, size=lambda line: len(line.data)):
            write(connection, tables, part, priority, delay)

    def owed_to(self, subscriber: str) -> StoredEventQuerySet:
        """Without the events that were suppressed, and without those for another subscriber alone."""
        return self.filter(suppressed__in=("", only_for(subscriber)))

    def newest(self) -> int:
        """The end of the log: the highest sequence number, 0 in an empty log."""
        return self.aggregate(newest=models.Max("sequence"))["newest"] or 0

    def topics(self) -> list[str]:
        """Every topic in the log."""
        return list(self.newest_of_topics())

    def newest_of_topics(self, partition: str = "") -> dict[str, int]:
        """Every topic in the log, or in one of its partitions, each with the highest sequence number of its events."""
        connection = connections[self.db]
        if connection.vendor != "postgresql":
            return _newest_of_topics(connection, [table(self.model)])
        log = table(self.model)
        with transaction.atomic(using=self.db, savepoint=False):
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {log} IN ACCESS SHARE MODE")  # no partition is dropped meanwhile
            # Each by itself: a statement for all would begin a scan of each once per topic.
            return _newest_of_topics(
                connection, [partition] if partition else partition_names(connection, log) or [log]
            )

    def import_foreign(self, lines: Sequence[LogLine]) -> None:
        """Copy events of other publishers into the log, unless they are there already: a retry needs their data."""
        missing = {line.event_id for line in lines} - set(
            self.filter(event_id__in=[line.event_id for line in lines]).values_list("event_id", flat=True)
        )
        new = [line for line in lines if line.event_id in missing]
        for part in parts(new, rows_at_most=ROWS_PER_STATEMENT, size=lambda line: len(line.data)):
            self.bulk_create(
                [self.model(**line._asdict() | {"data": json.loads(line.data)}) for line in part],
                ignore_conflicts=True,
            )


def _newest_of_topics(connection: Any, tables: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(f"SELECT * FROM ({_NEWEST_OF_TOPICS.format(log=one)}) AS l" for one in tables)
        )
        for topic, newest in cursor.fetchall():
            found[topic] = max(newest, found.get(topic, 0))
    return dict(sorted(found.items()))


def _append_on_postgresql(
    connection: Any, tables: Tables, lines: Sequence[LogLine], priority: int, delay: dt.timedelta | None
) -> None:
    if len(lines) < JSON_FROM_ROWS:
        rows, values = _VALUES * len(lines), [value for line in lines for value in (*line, priority)]
    else:
        rows, values = (_JSON_ROWS,), [priority, to_json([line._asdict() for line in lines]).decode()]
    with prepared_cursor(connection) as cursor:
        cursor.execute(_append_statement(tables, rows), [*values, delay, priority])


#: From 5 rows on, the rows are passed as one JSON array: psycopg would convert each value in Python, and PostgreSQL
#: would plan one statement per number of rows.
JSON_FROM_ROWS = 5
JSON_ROWS_PER_STATEMENT = 1_000
_VALUES = ("(%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s)",)
_JSON_ROWS = f"""
    SELECT {LOG_COLUMNS.replace(" data", " data::jsonb")}, %s FROM ROWS FROM (json_to_recordset(%s::json) AS (
        event_id uuid, topic text, version int, source text, subject text, time timestamptz, data text,
        correlation_id uuid, causation_id uuid, traceparent text, suppressed text
    )) WITH ORDINALITY AS record ({LOG_COLUMNS}, place) ORDER BY place
"""


@cache
def _tables(log: type[models.Model]) -> Tables:
    """The tables of the log's model and of the outbox, whose rows point to it."""
    outbox: Any = log._meta.get_field("outboxmessage").related_model
    return Tables(log=table(log), outbox=table(outbox))


@cache
def _append_statement(tables: Tables, rows: tuple[str, ...]) -> str:
    """One statement that writes the log and the outbox. `rows`: `_VALUES` once per event, or `(_JSON_ROWS,)`."""
    values = rows[0] if rows == (_JSON_ROWS,) else f"VALUES {', '.join(rows)}"
    return f"""
        WITH logged AS (
            INSERT INTO {tables.log} ({LOG_COLUMNS}, priority) {values}
            RETURNING event_id, suppressed, pg_column_size(data) AS size
        )
        INSERT INTO {tables.outbox} (event_id, subscriber, due, run, attempt, priority, claimed, size)
        SELECT event_id, '', statement_timestamp() + %s::interval, 0, 1, %s, false, size FROM logged
        WHERE suppressed = ''
        RETURNING {notify_sleeping_relay(tables.outbox)}
    """


def _append_elsewhere(
    connection: Any, tables: Tables, lines: Sequence[LogLine], priority: int, delay: dt.timedelta | None
) -> None:
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {tables.log} ({LOG_COLUMNS}, priority) VALUES ({', '.join(['%s'] * 12)})",
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
            f"INSERT INTO {tables.outbox} (event_id, subscriber, due, run, attempt, priority, claimed, size)"
            " VALUES (%s, '', %s, 0, 1, %s, false, %s)",
            [(line.event_id.hex, due, priority, len(line.data)) for line in lines if not line.suppressed],
        )
    transaction.on_commit(local_notification.set, using=connection.alias)
