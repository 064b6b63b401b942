"""Batch SQL: the relay's questions to PostgreSQL for the first rows of the outbox."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from ..envelope import Envelope

#: The columns of OutboxRow: its own, then the event's in the order of Envelope's fields.
OWN_COLUMNS = ("id", "subscriber", "run", "attempt", "priority", "due", "size")
EVENT_COLUMNS = tuple("event_id" if name == "id" else name for name in Envelope._fields)
#: The highest priority of an event; the lowest is 0.
HIGHEST_PRIORITY = 9
NO_LIMIT = 2**40
#: As a subquery: PostgreSQL looks each row up in a hash table, and not in the whole list.
_IS_WANTED = "id NOT IN (SELECT unnest(%(without)s::bigint[]))"
LONG_AGO = dt.datetime(1, 1, 1, tzinfo=dt.UTC)


class Since(NamedTuple):
    """Where a question begins to look.

    floors: a primary key for each priority from the highest to 0; None: at the first row.
    due: a due time; None: at the first.
    """

    floors: Sequence[int] | None
    due: dt.datetime | None


@cache
def next_batch_sql(outbox: str, log: str, *, floors: bool) -> str:
    """The first new rows. Parameters: without, size, most_bytes, due, and floors, if there are any.

    From a floor on, a range of the index is read. The index has the entries of deleted rows until no transaction can
    see these any more.
    """
    new = f"subscriber = '' AND due IS NULL AND NOT claimed AND {_IS_WANTED}"
    if not floors:
        rows = f"{outbox} AS row WHERE {new}"
    else:
        rows = f"""
            unnest(%(floors)s::bigint[]) WITH ORDINALITY AS floor (first_id, place) CROSS JOIN LATERAL (
                SELECT * FROM {outbox} WHERE {new} AND id >= floor.first_id
                AND priority = ({HIGHEST_PRIORITY + 1} - floor.place)::smallint ORDER BY id LIMIT %(size)s
            ) AS row
        """
    seconds = f"({seconds_until_due_sql(outbox)})"
    return _batch(rows, log, order="priority DESC, id", seconds=seconds)


@cache
def due_batch_sql(outbox: str, log: str) -> str:
    """The first rows whose time has come. Parameters: without, size, most_bytes, due."""
    rows = f"""
        {outbox} AS row WHERE due <= statement_timestamp() AND due >= %(due)s AND NOT claimed
        AND {_IS_WANTED}
    """
    return _batch(rows, log, order="due, id", seconds="NULL")


@cache
def seconds_until_due_sql(outbox: str) -> str:
    """Seconds until the first waiting row is due. Parameter: due."""
    return f"""
        SELECT extract(epoch FROM due - statement_timestamp())::float8 FROM {outbox}
        WHERE due IS NOT NULL AND due >= %(due)s AND NOT claimed ORDER BY due, id LIMIT 1
    """


def _batch(rows: str, log: str, *, order: str, seconds: str) -> str:
    """The first rows, bounded in number and in the size of their events. What the size column does not know is
    measured. Before its columns, each has the time of the question, in seconds since 1970, and what `seconds` gives:
    numbers, because a time takes the relay 2 µs to read."""
    columns = ", ".join([*(f"o.{name}" for name in OWN_COLUMNS), *(f"e.{name}" for name in EVENT_COLUMNS)])
    own = ", ".join(f"row.{name}" for name in OWN_COLUMNS)
    return f"""
        SELECT extract(epoch FROM statement_timestamp())::float8, {seconds}, batch.*
        FROM (VALUES (1)) AS always LEFT JOIN (
            SELECT o.found, {columns} FROM (
                SELECT *, sum(bytes) OVER (ORDER BY {order}) - bytes AS before, count(*) OVER () AS found FROM (
                    SELECT row.event_id, {own}, CASE WHEN row.size > 0 THEN row.size ELSE coalesce(
                        (SELECT octet_length(data::text) FROM {log} AS l WHERE l.event_id = row.event_id), 0
                    ) END AS bytes
                    FROM {rows} ORDER BY {_of("row", order)} LIMIT %(size)s
                ) AS measured
            ) AS o LEFT JOIN {log} e ON e.event_id = o.event_id
            WHERE o.before = 0 OR o.before + o.bytes <= %(most_bytes)s ORDER BY {_of("o", order)}
        ) AS batch ON true
    """


def _of(table: str, order: str) -> str:
    return ", ".join(f"{table}.{column}" for column in order.split(", "))
