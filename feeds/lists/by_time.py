"""Lists by time: newest first. A cursor holds the moment and the id of the last row."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple, TypeVar

from django.db.models import QuerySet
from django.utils import timezone

from feeds.lists.pagination import cursor_after, cursor_key, microseconds_of, moment_of, row_less_than

Rows = TypeVar("Rows", bound="QuerySet[Any, Any]")


#: By as much the clocks of two servers may differ. What is dated later than that is of the future.
CLOCK_SKEW = dt.timedelta(minutes=1)


class TimeKey(NamedTuple):
    """The place of a row in a list by time. Rows of the same moment are ordered by id."""

    moment: dt.datetime
    row_id: int


def time_cursor(list_name: str, last: tuple[dt.datetime, int]) -> str:
    """A cursor of the named list after the row with this moment and id."""
    moment, row_id = last
    return cursor_after(list_name, microseconds_of(moment), row_id)


def time_key(cursor: str | None, list_name: str) -> TimeKey | None:
    """The key in a cursor of the named list; None without a cursor. Raises BadCursorError."""
    if cursor is None:
        return None
    microseconds, row_id = cursor_key(cursor, list_name, int, int)
    return TimeKey(moment_of(microseconds), row_id)


def newest_first(
    rows: Rows, *, after: TimeKey | None, time_column: str = "published_at", id_column: str = "id"
) -> Rows:
    """The rows in order, those after the key only. Those of the future are left out."""
    rows = rows.order_by(f"-{time_column}", f"-{id_column}")
    if after is None or after.moment > latest():
        rows = rows.filter(**{f"{time_column}__lte": latest()})
    return rows if after is None else rows.filter(row_less_than(time_column, id_column, after))


def latest() -> dt.datetime:
    """The time up to which rows are shown in lists."""
    return timezone.now() + CLOCK_SKEW
