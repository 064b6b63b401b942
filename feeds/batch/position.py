"""Position: a place in work on all posts, and then all comments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from django.db.models import QuerySet

from feeds.batch.chunks import StoppedEarlyError
from feeds.models import Comment, Post

T = TypeVar("T")

_TABLES: dict[str, type[Post] | type[Comment]] = {"post": Post, "comment": Comment}


class Position(NamedTuple):
    """A place: posts come first, then comments. Written as post/7 or comment/9."""

    entity_type: str
    entity_id: int

    def __str__(self) -> str:
        return f"{self.entity_type}/{self.entity_id}"

    @classmethod
    def read(cls, text: str) -> Position:
        """The place in this text. Raises ValueError."""
        entity_type, _, entity_id = text.partition("/")
        if entity_type not in _TABLES or not (entity_id.isascii() and entity_id.isdigit()):
            raise ValueError(f"{text!r} is not a post or a comment. Write it as post/7 or comment/9")
        return cls(entity_type, int(entity_id))


START = Position("post", 0)


def total(*, after: Position = START) -> int:
    """The number of posts and comments after a place."""
    return sum(rows.filter(pk__gt=first).count() for _, rows, first in _tables(after))


def each_table(work: Callable[[str, QuerySet[Any], int], list[T]], *, after: Position = START) -> list[T]:
    """Call `work` with the type, the rows and the key to start after: of the posts after a place, then of the comments.

    Returns the results one after the other. A StoppedEarlyError of the work gets its place and the results before it.
    """
    results: list[T] = []
    for entity_type, rows, first in _tables(after):
        try:
            results += work(entity_type, rows, first)
        except StoppedEarlyError as stop:
            stop.after = Position(entity_type, stop.after)
            stop.results = [*results, *stop.results]
            raise
    return results


def _tables(after: Position) -> Iterator[tuple[str, QuerySet[Any], int]]:
    for entity_type, model in _TABLES.items():
        if entity_type == after.entity_type:
            yield entity_type, model.objects.all(), after.entity_id
        elif (after.entity_type, entity_type) == ("post", "comment"):
            yield entity_type, model.objects.all(), 0
