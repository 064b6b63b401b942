"""Section: one kind of rows in the archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from feeds.models import User

#: Rows that are read from the database at once.
ROWS_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Section:
    """A list in the archive.

    name: its key. item: the class of its items, a pydantic model with a class method `of(row)`. rows: those of a user,
    read in pieces. relations: the fields that lead to the user, such as "feeds.Post.author".
    """

    name: str
    item: type[BaseModel]
    rows: Callable[[User], Iterable[Any]]
    relations: tuple[str, ...]

    def items(self, user: User) -> Iterator[BaseModel]:
        """The items of a user, one after the other."""
        make: Callable[[Any], BaseModel] = self.item.of  # type: ignore[attr-defined]
        return map(make, self.rows(user))
