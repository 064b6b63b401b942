"""The log: append-only, written in the transaction of the change."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections, models, router, transaction
from pydantic_core import to_json

from ..db.dialect import ROWS_PER_STATEMENT, database_now
from ..db.prepared import prepared_cursor
from .notify import ALARM, ALARM_VALUES, local_wakeup

if TYPE_CHECKING:
    from ..models import StoredEvent  # noqa: F401 - in a class header

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
        write, most = (
            (_append_on_postgresql, RECORDS_PER_STATEMENT)
            if connection.vendor == "postgresql"
            else (_append_elsewhere, ROWS_PER_STATEMENT)
        )
        for start in range(0, len(lines), most):
            write(connection, lines[start : start + most], priority, delay)

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
    if len(lines) < MANY:
        rows, values = _VALUES * len(lines), [value for line in lines for value in (*line, priority)]
    else:
        rows, values = (_RECORDS,), [priority, _records(lines)]
    with prepared_cursor(connection) as cursor:
        cursor.execute(_append_statement(rows), [*values, delay, priority, *ALARM_VALUES])


#: From so many rows on they go as one JSON document: psycopg would look at each of their values in Python, and the
#: database would plan a statement for each number of them.
MANY = 5
RECORDS_PER_STATEMENT = 1_000
_VALUES = ("(%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s)",)
_RECORDS = f"""
    SELECT {LOG_COLUMNS.replace(" data", " data::jsonb")}, %s FROM ROWS FROM (json_to_recordset(%s::json) AS (
        event_id uuid, topic text, version int, source text, subject text, time timestamptz, data text,
        correlation_id uuid, causation_id uuid, traceparent text, suppressed text
    )) WITH ORDINALITY AS record ({LOG_COLUMNS}, place) ORDER BY place
"""


def _records(lines: Sequence[LogLine]) -> str:
    """The lines as a JSON array."""
    return to_json([line._asdict() for line in lines]).decode()


@cache
def _append_statement(rows: tuple[str, ...]) -> str:
    values = rows[0] if rows == (_RECORDS,) else f"VALUES {', '.join(rows)}"
    return f"""
        WITH logged AS (
            INSERT INTO events_storedevent ({LOG_COLUMNS}, priority) {values} RETURNING event_id, suppressed
        )
        INSERT INTO events_outboxmessage (event_id, subscriber, due, run, attempt, priority, claimed)
        SELECT event_id, '', statement_timestamp() + %s::interval, 0, 1, %s, false FROM logged WHERE suppressed = ''
        RETURNING {ALARM}
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
