"""Page: part of a list, and the cursor to the next part. A cursor holds the key of the last item, never an offset."""

import base64
import binascii
import datetime as dt
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import F, Field, Func, Value
from django.db.models.expressions import Combinable
from django.db.models.lookups import LessThan

Item = TypeVar("Item")

#: Items on a page, unless the caller passes another size.
PAGE_SIZE = 20
#: Characters of a cursor, at most: a snapshot may name a thousand transactions (`feeds.lists.snapshot`). An address
#: with one stays below the 64 KiB that the server takes.
CURSOR_LENGTH = 60_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class BadCursorError(ValueError):
    """The cursor was not made by this list."""

    def __init__(self) -> None:
        super().__init__("this cursor does not belong to this list; leave it out to start from the first page")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Items in order, and an opaque cursor to the next page; None on the last page."""

    items: list[Item]
    next_cursor: str | None = None


def cursor_after(list_name: str, *key: int | float | str | None) -> str:
    """An opaque cursor: the named list continues after this key."""
    raw = json.dumps([list_name, *key], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def cursor_key(cursor: str, list_name: str, *kinds: type) -> tuple[Any, ...]:
    """The key in a cursor of the named list, one value for each of `kinds`.

    Raises BadCursorError for a cursor of another list, and for one that was changed.
    """
    try:
        name, *key = json.loads(
            base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        )
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise BadCursorError from None
    if name != list_name or [type(part) for part in key] != list(kinds):
        raise BadCursorError
    if any(isinstance(part, int) and abs(part) >= 2**63 for part in key):
        raise BadCursorError
    if any(isinstance(part, float) and not abs(part) < float("inf") for part in key):
        raise BadCursorError
    return tuple(key)


def microseconds_of(moment: dt.datetime) -> int:
    """Microseconds since 1970-01-01 UTC: a moment as a number for a cursor."""
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def moment_of(microseconds: int) -> dt.datetime:
    """The inverse of `microseconds_of`. Raises BadCursorError for a number outside the years that Python supports."""
    try:
        return EPOCH + dt.timedelta(microseconds=microseconds)
    except OverflowError:
        raise BadCursorError from None


def page_of(rows: Iterable[Item], *, size: int, cursor: Callable[[Item], str]) -> Page[Item]:
    """A page from up to size + 1 rows. The extra row is not shown; it only means that there is a next page."""
    items = list(rows)
    return Page(items=items[:size], next_cursor=cursor(items[size - 1]) if len(items) > size else None)


def row_less_than(first: str, second: str, key: tuple[Any, Any]) -> LessThan:
    """A condition for `filter`: (first, second) < key, compared as SQL rows.

    As a row comparison the database continues in an index over both columns, from where the last page ended.
    """
    return LessThan(_sql_row(F(first), F(second)), _sql_row(*map(Value, key)))


def _sql_row(first: Combinable, second: Combinable) -> Func:
    return Func(first, second, function="", output_field=Field())
