"""Dialect: where PostgreSQL and SQLite differ."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

ROWS_PER_STATEMENT = 100
#: Characters of the rows of one statement, at most; a row that is longer has a statement of its own.
CHARACTERS_PER_STATEMENT = 8_000_000

Row = TypeVar("Row")


class DeliveryKey(NamedTuple):
    """The unique key of the inbox: one event at one subscriber in one run."""

    event_id: uuid.UUID
    subscriber: str
    run: int

    def order(self) -> tuple[int, str, int]:
        """The sort key. Comparing numbers takes a tenth of the time of comparing UUIDs."""
        return self.event_id.int, self.subscriber, self.run


def parts(rows: Sequence[Row], *, rows_at_most: int, size: Callable[[Row], int]) -> Iterator[Sequence[Row]]:
    """The rows in parts that one statement takes each, in the order given. size: the characters of a row."""
    start = length = 0
    for end, row in enumerate(rows):
        length += size(row)
        if end - start == rows_at_most or (length > CHARACTERS_PER_STATEMENT and end > start):
            yield rows[start:end]
            start, length = end, size(row)
    if rows:
        yield rows[start:]


def database_now(connection: Any) -> dt.datetime:
    """The time by the database's clock. Every due and lease time is read off it, whatever the hosts' clocks say."""
    if connection.vendor != "postgresql":
        return dt.datetime.now(dt.UTC)  # SQLite runs in this process: its clock is this host's.
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: dt.datetime = cursor.fetchone()[0]
        return now


def host_now(connection: Any) -> Any:
    """The time by this host's clock, as a parameter for the database. For times that only people read."""
    now = dt.datetime.now(dt.UTC)
    return now if connection.vendor == "postgresql" else connection.ops.adapt_datetimefield_value(now)


def adapted(connection: Any, key: DeliveryKey) -> tuple[Any, str, int]:
    """A key as parameters for the database."""
    event_id = key.event_id if connection.features.has_native_uuid_field else key.event_id.hex
    return event_id, key.subscriber, key.run


def as_uuid(value: Any) -> uuid.UUID:
    """An id as a UUID, whichever form the database returned."""
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)
