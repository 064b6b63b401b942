"""Page: a slice of a list and the cursor to the next one, by key and never by offset."""

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

SIZE = 20
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class BadCursorError(ValueError):
    """A cursor that this list did not hand out."""

    def __init__(self) -> None:
        super().__init__("this cursor does not belong to this list; leave it out to start from the first page")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Items in order, and the opaque cursor by which to ask for those after them (None: there are none)."""

    items: list[Item]
    next_cursor: str | None = None


def cursor_after(list_name: str, *key: int | float | str | None) -> str:
    """An opaque cursor that continues the named list after this key."""
    raw = json.dumps([list_name, *key], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def key_of(cursor: str, list_name: str, *kinds: type) -> tuple[Any, ...]:
    """The key in a cursor of the named list. Raises BadCursorError when it is from elsewhere or tampered with."""
    try:
        name, *key = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
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
    """A moment as a number for a cursor."""
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def moment_of(microseconds: int) -> dt.datetime:
    """The moment again. Raises BadCursorError for one that no calendar has."""
    try:
        return EPOCH + dt.timedelta(microseconds=microseconds)
    except OverflowError:
        raise BadCursorError from None


def page_of(rows: Iterable[Item], *, size: int, cursor: Callable[[Item], str]) -> Page[Item]:
    """A page from up to size + 1 rows: the one too many only tells that there is more."""
    items = list(rows)
    return Page(items=items[:size], next_cursor=cursor(items[size - 1]) if len(items) > size else None)


def before(first: str, second: str, key: tuple[Any, Any]) -> LessThan:
    """A condition for `filter`: the two columns, compared as one value, are less than the key.

    So the database reads on in an index over both from where the last page ended.
    """
    return LessThan(_pair(F(first), F(second)), _pair(*map(Value, key)))


def _pair(first: Combinable, second: Combinable) -> Func:
    return Func(first, second, function="", output_field=Field())
