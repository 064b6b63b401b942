"""Presentation: posts and comments with the numbers that one viewer must see.

The viewer's own pending votes and comments are added to the counts, so the person who acts never sees that counting
comes later. One statement reads counts and pending counts: a vote that is counted meanwhile cannot show twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.db.models import QuerySet

from feeds import ranking
from feeds.counts.counts import Counts
from feeds.lists.pagination import Page, page_of
from feeds.lists.visibility import Viewer, user_or_none
from feeds.models import Comment, Entity, EntityCounts, Post, Uncounted, Vote

Key = TypeVar("Key", bound="tuple[Any, int]")

#: The columns that EntityCounts and Uncounted have in common.
COUNT_COLUMNS = ("entity_id", "upvotes", "downvotes", "comments")


def present_page(keys: Sequence[Key], *, size: int, cursor: Callable[[Key], str], viewer: Viewer) -> Page[Post]:
    """A page of posts from up to size + 1 keys, whose second part is a post's id."""
    page = page_of(keys, size=size, cursor=cursor)
    posts = present_posts_by_id([post_id for _, post_id in page.items], viewer=viewer)
    return Page(items=posts, next_cursor=page.next_cursor)


def present_posts(posts: Iterable[Post], *, viewer: Viewer = None) -> list[Post]:
    """The posts with `upvotes downvotes score hot comment_count my_vote` (two queries, one without a viewer)."""
    shown = list(posts)
    counts = counts_for(Entity.POST, [post.pk for post in shown], viewer=viewer)
    votes = own_votes(Entity.POST, [post.pk for post in shown], viewer=viewer)
    for post in shown:
        numbers = counts.get(post.pk, Counts())
        _attach(post, numbers, votes.get(post.pk))
        post.comment_count = numbers.comments  # type: ignore[attr-defined]
        since = post.published_at or post.created_at
        post.hot = ranking.hot(numbers.upvotes, numbers.downvotes, since.timestamp())  # type: ignore[attr-defined]
    return shown


def present_posts_by_id(
    ids: Sequence[int], *, parts: Sequence[str] = ("opening",), viewer: Viewer = None
) -> list[Post]:
    """The visible ones of these posts, in this order, with numbers, author, circle, and these parts of the text."""
    # No join: beside a large table of users the planner may read all of it for a page.
    posts = Post.objects.visible().prefetch_related("author", "circle").with_text(*parts)
    rows = posts.in_bulk(ids) if ids else {}
    return present_posts((rows[id] for id in ids if id in rows), viewer=viewer)


def present_comments(
    comments: Iterable[Comment], *, viewer: Viewer = None, counts: Mapping[int, Counts] | None = None
) -> list[Comment]:
    """The comments with `upvotes downvotes score my_vote`. `counts`: their counts, if the caller has them."""
    shown = list(comments)
    ids = [comment.pk for comment in shown]
    counts = counts_for(Entity.COMMENT, ids, viewer=viewer) if counts is None else counts
    votes = own_votes(Entity.COMMENT, ids, viewer=viewer)
    for comment in shown:
        _attach(comment, counts.get(comment.pk, Counts()), votes.get(comment.pk))
    return shown


def counts_for(
    entity_type: str, ids: Sequence[int] | QuerySet[Any, Any], *, viewer: Viewer = None
) -> dict[int, Counts]:
    """The counts of these entities by id, the viewer's pending counts included."""
    if not isinstance(ids, QuerySet) and not ids:
        return {}
    rows = EntityCounts.objects.filter(entity_type=entity_type, entity_id__in=ids).values_list(*COUNT_COLUMNS)
    if user := user_or_none(viewer):
        own = Uncounted.objects.filter(user=user, entity_type=entity_type, entity_id__in=ids)
        rows = rows.union(own.values_list(*COUNT_COLUMNS), all=True)
    sums: dict[int, Counts] = {}
    for entity_id, *numbers in rows:
        sums[entity_id] = sums[entity_id].plus(Counts(*numbers)) if entity_id in sums else Counts(*numbers)
    return {entity_id: counts.at_least_zero() for entity_id, counts in sums.items()}


def own_votes(entity_type: str, ids: Sequence[int], *, viewer: Viewer = None) -> dict[int, str]:
    """The viewer's votes on these entities, "up" or "down" by id."""
    if not ids or (user := user_or_none(viewer)) is None:
        return {}
    votes = Vote.objects.filter(user=user, entity_type=entity_type, entity_id__in=ids)
    return dict(votes.values_list("entity_id", "vote_type"))


def _attach(row: Any, numbers: Counts, my_vote: str | None) -> None:
    row.upvotes, row.downvotes, row.score = numbers.upvotes, numbers.downvotes, numbers.score
    row.my_vote = my_vote
