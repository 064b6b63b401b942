"""Chunks: work through a large table by its primary key, a transaction at a time, while the site runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from events.pool import get_pool

SIZE = 200

#: Told how many more are done.
Advance = Callable[[int], object]


def chunks_of(rows: QuerySet[Any], *, size: int = SIZE) -> Iterator[list[int]]:
    """The primary keys in ascending order, in lists of up to `size`, each read when it is asked for."""
    after = 0
    while ids := list(rows.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:size]):
        yield ids
        after = ids[-1]


def each_chunk(rows: QuerySet[Any], work: Callable[[list[int]], object], *, advance: Advance | None = None) -> None:
    """Call `work` with one chunk after the other, each in a transaction and a slot of the process's pool."""
    for ids in chunks_of(rows):
        get_pool().run(transaction.atomic(work), ids)
        if advance is not None:
            advance(len(ids))
