"""Fields: the values of a row of a dump, or the reason why the row is skipped."""

from __future__ import annotations

import datetime as dt
import re

from django.utils import timezone

from feeds.stackexchange.dump import NUMBER, Row
from feeds.text.cleaning import NOT_TEXT

SIGNED_NUMBER = re.compile(r"-?\d{1,18}")
#: Dates before this one, and after now, are mistakes: lists go by dates, and one of the future would head them.
EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: The external id of an author without an id (a deleted account) is this and the display name.
NAME_PREFIX = "name:"


class SkippedRowError(Exception):
    """The row is not imported. reason: counted in the report."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def value(row: Row, column: str) -> str:
    """A field without the characters of NOT_TEXT and outer white space; empty if the row does not have it."""
    return NOT_TEXT.sub("", row.get(column) or "").strip()


def text(row: Row, column: str) -> str:
    """A field of many lines, with \\n as line end."""
    return value(row, column).replace("\r\n", "\n").replace("\r", "\n")


def number(row: Row) -> str:
    """The row's id. Raises SkippedRowError."""
    found = value(row, "Id")
    if not found:
        raise SkippedRowError("no Id")
    return found


def row_name(row: Row) -> str:
    """How the report names a row: by its id or, without one, by its place in the table."""
    return value(row, "Id") or f"row {row.get(NUMBER, '?')}"


def moment(row: Row, column: str = "CreationDate") -> dt.datetime:
    """A date from EARLIEST to now, in UTC unless it says otherwise. Raises SkippedRowError."""
    try:
        found = dt.datetime.fromisoformat(value(row, column).removesuffix(" UTC"))
        found = found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)
    except ValueError:
        raise SkippedRowError(f"{column} is not a date") from None
    except OverflowError:  # the first or last day of all, in another time zone
        raise SkippedRowError(f"{column} is out of range") from None
    if found < EARLIEST:
        raise SkippedRowError(f"{column} is before {EARLIEST.year}")
    if found > timezone.now():
        raise SkippedRowError(f"{column} is in the future")
    return found


def author(row: Row, *, number: str, name: str) -> str:
    """The author of a row: the id or, if the account was deleted, NAME_PREFIX and name. Raises SkippedRowError.

    number, name: the columns with the id and the display name.
    """
    if found := value(row, number):
        return found
    if found := value(row, name):
        return f"{NAME_PREFIX}{found[:200]}"
    raise SkippedRowError("no author")


def post_author(row: Row) -> str:
    """The author of a question or an answer. Raises SkippedRowError."""
    return author(row, number="OwnerUserId", name="OwnerDisplayName")


def comment_author(row: Row) -> str:
    """The author of a comment. Raises SkippedRowError."""
    return author(row, number="UserId", name="UserDisplayName")


def by_number(external_id: str) -> tuple[bool, int, str]:
    """A sort key for ids: numbers by size, then all others."""
    is_number = SIGNED_NUMBER.fullmatch(external_id) is not None
    return not is_number, int(external_id) if is_number else 0, external_id
