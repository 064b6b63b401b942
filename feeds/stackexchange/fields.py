"""Values: what the fields of a dump's row say, or why the row cannot be taken."""

from __future__ import annotations

import datetime as dt
import re

from feeds.stackexchange.dump import Row
from feeds.text.cleaning import NOT_TEXT

NUMBER = re.compile(r"-?\d{1,18}")
#: People whom a dump names without a number (their accounts are gone) are known by this and their name.
NAMED = "name:"


class SkippedRowError(Exception):
    """A row that is not taken; `reason` is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def value(row: Row, column: str) -> str:
    """A field, empty if the row does not have it; without what no database and no reader takes."""
    return NOT_TEXT.sub("", row.get(column) or "").strip()


def text(row: Row, column: str) -> str:
    """A field of many lines; line ends are as on Unix."""
    return value(row, column).replace("\r\n", "\n").replace("\r", "\n")


def number(row: Row) -> str:
    """The row's own id. Raises SkippedRowError."""
    found = value(row, "Id")
    if not found:
        raise SkippedRowError("no Id")
    return found


def moment(row: Row, column: str = "CreationDate") -> dt.datetime:
    """A date; a dump's are UTC. Raises SkippedRowError."""
    try:
        found = dt.datetime.fromisoformat(value(row, column).removesuffix(" UTC"))
    except ValueError:
        raise SkippedRowError(f"{column} is no date") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def author(row: Row, *, number: str, name: str) -> str:
    """Who wrote a row: by number or, if the account is gone and the name was kept, by name. Raises SkippedRowError."""
    if found := value(row, number):
        return found
    if found := value(row, name):
        return f"{NAMED}{found[:200]}"
    raise SkippedRowError("no author")


def post_author(row: Row) -> str:
    """Who wrote a question or an answer. Raises SkippedRowError."""
    return author(row, number="OwnerUserId", name="OwnerDisplayName")


def comment_author(row: Row) -> str:
    """Who wrote a comment. Raises SkippedRowError."""
    return author(row, number="UserId", name="UserDisplayName")


def by_number(external_id: str) -> tuple[bool, int, str]:
    """The order of ids: numbers by size, then all others."""
    is_number = NUMBER.fullmatch(external_id) is not None
    return not is_number, int(external_id) if is_number else 0, external_id
