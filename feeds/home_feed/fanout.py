"""Fan-out: put posts into feeds.

Every function reads current state and inserts with ON CONFLICT DO NOTHING: a repeated or late call does no harm.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connections, router
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value, Window
from django.db.models.functions import RowNumber

from feeds.home_feed.recipients import are_too_many, next_chunk, present_among, readers_of
from feeds.home_feed.trimming import KEPT, trim, whose_turn
from feeds.models import FeedEntry, Follow, Membership, Post, PulledPost

#: So many posts of a newly followed author, or newly joined circle, come into the feed.
BACKFILL = 100
#: So many followed authors, or circles, are named in a statement.
LISTED = 10_000

_PULLED = Exists(PulledPost.objects.filter(post=OuterRef("pk")))


class Reached(NamedTuple):
    """What a chunk of a fan-out brought about: whose feeds are to be trimmed now, and whom to go on after."""

    to_trim: tuple[int, ...] = ()
    last: int | None = None


def fan_out(post_id: int, *, after: int = 0) -> Reached:
    """Put a post into the feeds of its next readers after the user `after`; `last` is None when there are no more.

    Those long absent are left out. A post with too many readers is put into no feed, but merged in on reading; it stays
    so when it is moved to where there are fewer, as what is merged in is never brought to those who come later.
    """
    post = Post.objects.visible().filter(pk=post_id).annotate(pulled=_PULLED).first()
    if post is None or post.published_at is None:
        return Reached()
    sources = readers_of(post)
    if post.pulled or (not after and are_too_many(sources)):  # type: ignore[attr-defined]
        PulledPost.objects.update_or_create(
            post=post,
            defaults={"author_id": post.author_id, "circle_id": post.circle_id, "published_at": post.published_at},
        )
        return Reached()
    sources, last = next_chunk(sources, after=after)
    to_trim: set[int] = set()
    for rows in sources:
        present = present_among(rows)
        _insert(present.values_list("reader", Value(post.pk), Value(post.author_id), Value(post.published_at)))
        to_trim.update(whose_turn(rows, post.pk))
    return Reached(tuple(sorted(to_trim)), last)


def backfill_authors(pairs: Set[tuple[int, int]]) -> None:
    """Put the newest posts of authors into the feeds of those who follow them; pairs are (follower, followee)."""
    followers, authors = {follower for follower, _ in pairs}, {author for _, author in pairs}
    places = (
        _pushed()
        .filter(author__in=authors)
        .annotate(place=Window(RowNumber(), partition_by="author", order_by=[F("published_at").desc(), F("pk").desc()]))
    )
    posts = list(places.filter(place__lte=BACKFILL).values_list("pk", flat=True))
    follows = Follow.objects.filter(follower__in=followers, followee__in=authors).values_list(
        "pk", "follower", "followee"
    )
    wanted = [pk for pk, follower, author in follows if (follower, author) in pairs] if posts else []
    if not wanted:
        return
    filled = Follow.objects.filter(pk__in=wanted, followee__posts__in=posts).order_by("follower", "followee__posts")
    _insert(filled.values_list("follower_id", "followee__posts__id", "followee_id", "followee__posts__published_at"))
    trim(sorted(followers))


def backfill_circle(user_id: int, circle_id: int) -> None:
    """Put the newest posts of a circle into the feed of a member."""
    if Membership.objects.filter(user=user_id, circle=circle_id).exists():
        _fill(user_id, _pushed().filter(circle=circle_id), limit=BACKFILL)


def rebuild(user_id: int) -> None:
    """Put the newest posts that belong into a feed, all sources together.

    As many as a feed keeps, so that nothing older is left below a gap.
    """
    followees = _listed(Follow.objects.filter(follower=user_id).values_list("followee_id", flat=True))
    circles = _listed(Membership.objects.filter(user=user_id).values_list("circle_id", flat=True))
    wanted = _pushed().filter(Q(author__in=followees) | Q(circle__in=circles))
    _fill(user_id, wanted, limit=KEPT)


def _listed(sources: QuerySet[Any, int]) -> list[int] | QuerySet[Any, int]:
    """Ids, fetched: of a subquery the planner would not know how few there are, and look through the posts of all.

    Too many for a statement stay a subquery: there it may look.
    """
    ids = list(sources[: LISTED + 1])
    return ids if len(ids) <= LISTED else sources


def _pushed() -> QuerySet[Post]:
    """The visible posts that are put into feeds, not merged in on reading."""
    return Post.objects.visible().exclude(_PULLED)


def _fill(user_id: int, posts: QuerySet[Post], *, limit: int) -> None:
    newest = posts.exclude(author=user_id).order_by("-published_at", "-pk")[:limit]
    _insert(newest.values_list(Value(user_id), "pk", "author_id", "published_at"))
    trim([user_id])


def _insert(rows: QuerySet[Any, Any]) -> None:
    """Insert (user, post, author, published) as selected: the rows never leave the database."""
    try:
        select, parameters = rows.query.sql_with_params()
    except EmptyResultSet:
        return
    connection = connections[router.db_for_write(FeedEntry)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {FeedEntry._meta.db_table} (user_id, post_id, author_id, published_at) {select}"
            " ON CONFLICT DO NOTHING",
            parameters,
        )
