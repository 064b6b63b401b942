"""Presentation: posts and comments with the numbers that one viewer is to see.

A viewer's own votes and comments are added as long as the counts do not hold them, so that the one who acts never
notices that counting comes later. Counts and additions are read in one statement: counting in between cannot show a
vote twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import QuerySet, Value

from feeds import ranking
from feeds.lists.visibility import Viewer, signed_in
from feeds.models import Comment, Entity, EntityCounts, Post, Uncounted, Vote

NUMBERS = ("entity_id", "upvotes", "downvotes", "comments")


class Totals(NamedTuple):
    """The numbers of one post or comment."""

    upvotes: int = 0
    downvotes: int = 0
    comments: int = 0

    @property
    def score(self) -> int:
        return self.upvotes - self.downvotes

    def plus(self, other: Totals) -> Totals:
        """Both together."""
        return Totals(*map(sum, zip(self, other, strict=True)))


def present_posts(posts: Iterable[Post], *, viewer: Viewer = None) -> list[Post]:
    """The posts with `upvotes downvotes score hot comment_count my_vote` (two queries, one without a viewer)."""
    shown = list(posts)
    held = totals(Entity.POST, [post.pk for post in shown], viewer=viewer)
    votes = own_votes(Entity.POST, [post.pk for post in shown], viewer=viewer)
    for post in shown:
        numbers = held.get(post.pk, Totals())
        _attach(post, numbers, votes.get(post.pk))
        post.comment_count = numbers.comments  # type: ignore[attr-defined]
        since = post.published_at or post.created_at
        post.hot = ranking.hot(numbers.upvotes, numbers.downvotes, since.timestamp())  # type: ignore[attr-defined]
    return shown


def present_posts_by_id(ids: Sequence[int], *, viewer: Viewer = None) -> list[Post]:
    """The visible ones of these posts in this order, presented, their authors and circles with them."""
    # Not by a join: beside a large table of users the planner may read all of it for a page.
    rows = Post.objects.visible().prefetch_related("author", "circle").in_bulk(ids) if ids else {}
    return present_posts((rows[id] for id in ids if id in rows), viewer=viewer)


def present_comments(
    comments: Iterable[Comment], *, viewer: Viewer = None, held: dict[int, Totals] | None = None
) -> list[Comment]:
    """The comments with `upvotes downvotes score my_vote`."""
    shown = list(comments)
    ids = [comment.pk for comment in shown]
    held = totals(Entity.COMMENT, ids, viewer=viewer) if held is None else held
    votes = own_votes(Entity.COMMENT, ids, viewer=viewer)
    for comment in shown:
        _attach(comment, held.get(comment.pk, Totals()), votes.get(comment.pk))
    return shown


def totals(entity_type: str, ids: Sequence[int] | QuerySet[Any, Any], *, viewer: Viewer = None) -> dict[int, Totals]:
    """The counts of these entities, and what the viewer did that they do not hold yet."""
    return together(*counted_and_waiting(entity_type, ids, viewer=viewer))


def counted_and_waiting(
    entity_type: str, ids: Sequence[int] | QuerySet[Any, Any], *, viewer: Viewer = None
) -> tuple[dict[int, Totals], dict[int, Totals]]:
    """The counts of these entities, and apart from them what the viewer did that they do not hold yet."""
    if not isinstance(ids, QuerySet) and not ids:
        return {}, {}
    here = EntityCounts.objects.filter(entity_type=entity_type, entity_id__in=ids)
    rows = here.values_list(Value(False), *NUMBERS)
    if user := signed_in(viewer):
        own = Uncounted.objects.filter(user=user, entity_type=entity_type, entity_id__in=ids)
        rows = rows.union(own.values_list(Value(True), *NUMBERS), all=True)
    counted: dict[int, Totals] = {}
    waiting: dict[int, Totals] = {}
    for waits, entity_id, *row in rows:
        sums = waiting if waits else counted
        sums[entity_id] = sums.get(entity_id, Totals()).plus(Totals(*row))
    return counted, waiting


def together(counted: Mapping[int, Totals], waiting: Mapping[int, Totals]) -> dict[int, Totals]:
    """Both added up."""
    sums = {
        entity_id: counted.get(entity_id, Totals()).plus(waiting.get(entity_id, Totals()))
        for entity_id in {**counted, **waiting}
    }
    # A withdrawal may be counted before its vote: for that moment nobody needs to see less than nothing.
    return {entity_id: Totals(*(max(number, 0) for number in held)) for entity_id, held in sums.items()}


def own_votes(entity_type: str, ids: Sequence[int], *, viewer: Viewer = None) -> dict[int, str]:
    """How the viewer voted on these."""
    if not ids or (user := signed_in(viewer)) is None:
        return {}
    votes = Vote.objects.filter(user=user, entity_type=entity_type, entity_id__in=ids)
    return dict(votes.values_list("entity_id", "vote_type"))


def _attach(row: Any, numbers: Totals, my_vote: str | None) -> None:
    row.upvotes, row.downvotes, row.score = numbers.upvotes, numbers.downvotes, numbers.score
    row.my_vote = my_vote
