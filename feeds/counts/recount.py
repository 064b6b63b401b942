"""Recount: compare the counts with the votes and comments themselves, and correct those that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from django.db.models import Count, F, Q, QuerySet, Value

from feeds.batch.chunks import StoppedEarlyError, each_chunk
from feeds.batch.position import START, Position, each_table
from feeds.batch.progress import Advance
from feeds.counts import counting
from feeds.counts.counting import CountedRow
from feeds.counts.counts import Counts
from feeds.counts.targets import find_targets
from feeds.models import Comment, Entity, EntityCounts, Uncounted, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Counts that differed from the votes and comments. `held`: the counts as found; `true`: as they should be."""

    entity_type: str
    entity_id: int
    held: Counts
    true: Counts

    def __str__(self) -> str:
        numbers = (
            f"{name} {held} → {true}"
            for name, held, true in zip(Counts._fields, self.held, self.true, strict=True)
            if held != true
        )
        return f"{self.entity_type}/{self.entity_id}: {', '.join(numbers) or 'rank'}"


class MissingRow(NamedTuple):
    """Numbers to add to the counts of an entity, from one of the tables (see `_missing`)."""

    entity_id: int
    upvotes: int
    downvotes: int
    comments: int


def recount(
    *,
    repair: bool = True,
    settle: bool = False,
    jobs: int | None = None,
    after: Position = START,
    advance: Advance | None = None,
) -> list[Drift]:
    """Recount all posts and comments after a place, in chunks, while the site runs. Returns the drifts in order.

    repair: write the true numbers.
    settle: also count the pending counts and delete them, for events that will never be delivered (suppressed, or
    discarded). Use it only while no event waits for delivery, or that event is counted twice.
    jobs, advance and errors: as for `each_chunk`; a StoppedEarlyError carries the drifts found so far.
    """

    def one_table(entity_type: str, rows: QuerySet[Any], first: int) -> list[list[Drift]]:
        one_chunk = partial(_recount_chunk, entity_type, repair=repair, settle=settle)
        return each_chunk(rows, one_chunk, jobs=jobs, after=first, advance=advance)

    try:
        return list(chain(*each_table(one_table, after=after)))
    except StoppedEarlyError as stop:
        stop.results = list(chain(*stop.results))
        raise


def _recount_chunk(entity_type: str, ids: Sequence[int], *, repair: bool, settle: bool) -> list[Drift]:
    found = find_targets((entity_type, entity_id) for entity_id in ids)
    # A count in progress waits for these locks, or these wait for it, so pending counts and counts add up.
    rows = counting.lock(found) if repair else _rows(entity_type, ids).order_by("entity_id")
    missing = _missing(entity_type, ids, settle=settle)
    drifts, drifted = [], []
    for row in rows:
        change = missing.get(row.entity_id, Counts())
        held = Counts(row.upvotes, row.downvotes, row.comments)
        true = held.plus(change)
        just_inserted = held == Counts() and row.hot == 0
        if held != true or counting.is_stale(row, found):
            drifted.append(CountedRow(row, change))
            if held != true or not just_inserted:
                drifts.append(Drift(entity_type=entity_type, entity_id=row.entity_id, held=held, true=true))
    if repair:
        counting.store(drifted, found)
        if settle:
            Uncounted.objects.filter(entity_type=entity_type, entity_id__in=ids).delete()
    return drifts


def _rows(entity_type: str, ids: Sequence[int]) -> QuerySet[EntityCounts]:
    return EntityCounts.objects.filter(entity_type=entity_type, entity_id__in=ids)


def _missing(entity_type: str, ids: Sequence[int], *, settle: bool) -> dict[int, Counts]:
    """The changes to add to the counts of each entity, negative where the counts are too high.

    Votes + comments − counts − pending counts (the last not with `settle`). One statement over all four tables: between
    two statements a vote could come in and be seen by only one of them.
    """
    up, down = Count("pk", filter=Q(vote_type="up")), Count("pk", filter=Q(vote_type="down"))
    votes = Vote.objects.filter(entity_type=entity_type, entity_id__in=ids).values_list("entity_id").order_by()
    parts: list[QuerySet[Any, Any]] = [votes.annotate(up=up, down=down, comments=Value(0))]
    if entity_type == Entity.POST:
        comments = Comment.objects.filter(post__in=ids, deleted_at=None).values_list("post").order_by()
        parts.append(comments.annotate(up=Value(0), down=Value(0), comments=Count("pk")))
    subtracted: list[QuerySet[Any, Any]] = [_rows(entity_type, ids)]
    if not settle:
        subtracted.append(Uncounted.objects.filter(entity_type=entity_type, entity_id__in=ids))
    parts += [one.values_list("entity_id", -F("upvotes"), -F("downvotes"), -F("comments")) for one in subtracted]
    sums: dict[int, Counts] = {}
    for row in map(MissingRow._make, parts[0].union(*parts[1:], all=True)):
        change = Counts(row.upvotes, row.downvotes, row.comments)
        sums[row.entity_id] = sums.get(row.entity_id, Counts()).plus(change)
    return sums
