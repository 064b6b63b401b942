"""Ranked list: posts by a rank that moves while a reader turns the pages.

The first page remembers a snapshot of the moment when reading began; the cursor carries it. The following pages show
the order of that moment (see `feeds.lists.snapshot`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from feeds import ranking
from feeds.lists.by_time import latest
from feeds.lists.pagination import Page, cursor_after, cursor_key, row_less_than
from feeds.lists.presentation import present_page
from feeds.lists.snapshot import CurrentSnapshot, Snapshot
from feeds.lists.visibility import Viewer, user_or_none
from feeds.models import EarlierCounts, Entity, EntityCounts, Post

Sort = Literal["hot", "new", "top", "controversial"]
Period = Literal["day", "week", "month", "year", "all"]
Ranked = TypeVar("Ranked", EntityCounts, EarlierCounts)

PERIOD_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
#: The column of EntityCounts and of EarlierCounts that each sort orders by.
RANK_COLUMNS = {"hot": "hot", "top": "score", "controversial": "controversy"}
#: The newest posts of the viewer that are searched for posts without counts.
OWN_POSTS_SEARCHED = 50


class RankedRow(NamedTuple):
    """A post and its rank: a score (int) for "top", else a float."""

    post_id: int
    rank: float


class FirstRow(NamedTuple):
    """A row of the first page. `snapshot`: what its statement saw of the count history (`Snapshot.taken`)."""

    post_id: int
    rank: float
    snapshot: str


class UnchangedRow(NamedTuple):
    """A post whose counts are those of the snapshot. `any_changed`: whether the counts of any post have changed."""

    post_id: int
    rank: float
    any_changed: bool


def period_start(period: Period, *, now: dt.datetime) -> dt.datetime | None:
    """The earliest publication that a period includes; None for "all". Raises ValueError for an unknown period."""
    if period == "all":
        return None
    if period not in PERIOD_DAYS:
        raise ValueError(f"period must be day, week, month, year or all; it is {period!r}")
    return now - dt.timedelta(days=PERIOD_DAYS[period])


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedList:
    """The posts of `listed` published within `period`, but not those of the future, best first by `sort` (not "new").

    Equal ranks are ordered by id. A post that no subscriber has counted yet has no row in EntityCounts; the viewer's
    own posts are shown all the same, with the rank of a post without votes.
    """

    sort: Sort
    period: Period
    listed: QuerySet[Post]
    viewer: Viewer
    size: int

    def first_page(self) -> Page[Post]:
        """The best posts now.

        1. The viewer's own posts without counts.
        2. The posts with counts, and the snapshot.

        In this order: a post that gets its counts between the two statements is found by both. In the other order
        neither would find it.
        """
        began = timezone.now()
        listed = self._published_since(period_start(self.period, now=began))
        rows = self._own_without_counts(listed)
        counted = self._highest_first(self._counts_of(listed)).annotate(snapshot=CurrentSnapshot())
        for row in counted.values_list("entity_id", self._rank, "snapshot")[: self.size + 1]:
            rows.append(FirstRow(*row))
        if not rows:
            return Page(items=[])
        # The last row is one of statement 2, if that found any.
        snapshot = Snapshot.taken(began, rows[-1].snapshot)
        return self._page([RankedRow(row.post_id, row.rank) for row in rows], snapshot)

    def next_page(self, cursor: str) -> Page[Post]:
        """The posts below the last one of the page before, by their ranks in the snapshot. Raises BadCursorError.

        1. The viewer's own posts without counts.
        2. The posts whose counts have not changed since the snapshot, by their current ranks.
        3. The posts whose counts have changed, by the ranks they had before. Only if there is any such change.

        In this order: a post that gets counts between 1 and 2, or whose counts change between 2 and 3, is found by both
        statements. In another order one of them could miss it.
        """
        written, rank, post_id = cursor_key(cursor, self._name, str, int if self.sort == "top" else float, int)
        snapshot, after = Snapshot.from_cursor(written), RankedRow(post_id, rank)
        # The period ends where it ended on the first page, or posts would drop out between two pages.
        listed = self._published_since(period_start(self.period, now=snapshot.moment))
        below = row_less_than(self._rank, "entity_id", (after.rank, after.post_id))
        rows = [RankedRow(row.post_id, row.rank) for row in self._own_without_counts(listed)]

        changes = snapshot.changes_since(Entity.POST)
        changed = Exists(changes.filter(entity_id=OuterRef("entity_id")))
        unchanged = self._highest_first(self._counts_of(listed).filter(below, ~changed))
        unchanged_columns = unchanged.values_list("entity_id", self._rank, Exists(changes))
        page = [UnchangedRow(*row) for row in unchanged_columns[: self.size + 1]]
        rows += [RankedRow(row.post_id, row.rank) for row in page]

        if not page or page[0].any_changed:
            earlier = snapshot.counts_then(Entity.POST).filter(below, _belongs_to(listed))
            if len(page) > self.size:
                earlier = earlier.filter(**{f"{self._rank}__gte": page[-1].rank})
            changed_columns = self._highest_first(earlier).values_list("entity_id", self._rank)
            rows += [RankedRow(*row) for row in changed_columns[: self.size + 1]]
        return self._page(rows, snapshot, after=after)

    @property
    def _name(self) -> str:
        return f"{self.sort}/{self.period}"

    @property
    def _rank(self) -> str:
        return RANK_COLUMNS[self.sort]

    def _published_since(self, start: dt.datetime | None) -> QuerySet[Post]:
        # A post of the future would head the list for as long as its date is not reached.
        listed = self.listed.filter(published_at__lte=latest())
        return listed if start is None else listed.filter(published_at__gte=start)

    def _counts_of(self, listed: QuerySet[Post]) -> QuerySet[EntityCounts]:
        return EntityCounts.objects.filter(_belongs_to(listed), entity_type=Entity.POST)

    def _highest_first(self, rows: QuerySet[Ranked]) -> QuerySet[Ranked]:
        return rows.order_by(f"-{self._rank}", "-entity_id")

    def _own_without_counts(self, listed: QuerySet[Post]) -> list[FirstRow]:
        user = user_or_none(self.viewer)
        if user is None:
            return []
        has_counts = Exists(EntityCounts.objects.filter(entity_type=Entity.POST, entity_id=OuterRef("pk")))
        newest = listed.filter(author=user).annotate(has_counts=has_counts, snapshot=CurrentSnapshot())
        rows = newest.order_by("-published_at", "-pk").values_list("pk", "published_at", "has_counts", "snapshot")
        return [
            FirstRow(post_id, self._rank_without_votes(published_at), snapshot)
            for post_id, published_at, counted, snapshot in rows[:OWN_POSTS_SEARCHED]
            if not counted and published_at is not None
        ]

    def _rank_without_votes(self, published_at: dt.datetime) -> float:
        return {"hot": ranking.hot(0, 0, published_at.timestamp()), "top": 0}.get(self.sort, 0.0)

    def _page(self, rows: Sequence[RankedRow], snapshot: Snapshot, after: RankedRow | None = None) -> Page[Post]:
        # Of a post that two statements found, the later one counts.
        ranks = dict(rows)
        keys: list[tuple[Any, int]] = [(rank, post_id) for post_id, rank in ranks.items()]
        if after is not None:
            keys = [key for key in keys if key < (after.rank, after.post_id)]
        return present_page(
            sorted(keys, reverse=True)[: self.size + 1],
            size=self.size,
            cursor=lambda last: cursor_after(self._name, str(snapshot), *last),
            viewer=self.viewer,
        )


def _belongs_to(listed: QuerySet[Post]) -> Exists:
    return Exists(listed.filter(pk=OuterRef("entity_id")))
