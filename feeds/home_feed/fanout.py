"""Fan-out: put posts into feeds.

Each function reads the current state and inserts with ON CONFLICT DO NOTHING, so a repeated or late call does no harm.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connections, router
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value, Window
from django.db.models.functions import RowNumber

from feeds.home_feed.recipients import exceed_threshold, next_chunk, recipients_of, seen_lately_among
from feeds.home_feed.trimming import FEED_LENGTH, feeds_to_trim, trim
from feeds.models import FeedEntry, Follow, Membership, Post, PulledPost

#: Posts of a newly followed author, or a newly joined circle, that come into the feed.
BACKFILL_POSTS = 100
#: Above this number the followed authors, or circles, are a subquery, not a list of ids in the statement.
MAX_LISTED_IDS = 10_000

_MERGED_ON_READ = Exists(PulledPost.objects.filter(post=OuterRef("pk")))


class FanoutChunk(NamedTuple):
    """The result of one chunk. to_trim: ids of users whose feeds must be trimmed. last: the last user id of the chunk;
    None if it was the last chunk.
    """

    to_trim: tuple[int, ...] = ()
    last: int | None = None


def fan_out(post_id: int, *, after: int = 0) -> FanoutChunk:
    """Put a post into the feeds of the next chunk of its recipients, those above the user id `after`.

    Users absent for long are left out. A post with more recipients than FANOUT_THRESHOLD gets a row in PulledPost
    instead, and is merged in when a feed is read. It keeps that row when it moves to a circle with fewer members:
    nobody who joins or follows later gets an entry for it.
    """
    post = Post.objects.visible().filter(pk=post_id).annotate(merged_on_read=_MERGED_ON_READ).first()
    if post is None or post.published_at is None:
        return FanoutChunk()
    sources = recipients_of(post)
    if post.merged_on_read or (not after and exceed_threshold(sources)):  # type: ignore[attr-defined]
        PulledPost.objects.update_or_create(
            post=post,
            defaults={"author_id": post.author_id, "circle_id": post.circle_id, "published_at": post.published_at},
        )
        return FanoutChunk()
    sources, last = next_chunk(sources, after=after)
    to_trim: set[int] = set()
    for rows in sources:
        recipients = seen_lately_among(rows)
        _insert(recipients.values_list("reader", Value(post.pk), Value(post.author_id), Value(post.published_at)))
        to_trim.update(feeds_to_trim(rows, post.pk))
    return FanoutChunk(tuple(sorted(to_trim)), last)


def backfill_authors(pairs: Set[tuple[int, int]]) -> None:
    """Put the newest posts of authors into their followers' feeds; `pairs` are (follower id, followee id)."""
    followers, authors = {follower for follower, _ in pairs}, {author for _, author in pairs}
    places = (
        _fanned_out()
        .filter(author__in=authors)
        .annotate(place=Window(RowNumber(), partition_by="author", order_by=[F("published_at").desc(), F("pk").desc()]))
    )
    posts = list(places.filter(place__lte=BACKFILL_POSTS).values_list("pk", flat=True))
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
        _fill(user_id, _fanned_out().filter(circle=circle_id), limit=BACKFILL_POSTS)


def rebuild(user_id: int) -> None:
    """Put the newest posts of all sources into a feed.

    FEED_LENGTH posts, as many as a feed keeps, so that no gap is left above older entries.
    """
    followees = _ids_or_subquery(Follow.objects.filter(follower=user_id).values_list("followee_id", flat=True))
    circles = _ids_or_subquery(Membership.objects.filter(user=user_id).values_list("circle_id", flat=True))
    wanted = _fanned_out().filter(Q(author__in=followees) | Q(circle__in=circles))
    _fill(user_id, wanted, limit=FEED_LENGTH)


def _ids_or_subquery(sources: QuerySet[Any, int]) -> list[int] | QuerySet[Any, int]:
    """Fetch the ids: given a subquery, PostgreSQL overestimates it and scans all posts.

    Above MAX_LISTED_IDS the subquery stays: there the scan is right.
    """
    ids = list(sources[: MAX_LISTED_IDS + 1])
    return ids if len(ids) <= MAX_LISTED_IDS else sources


def _fanned_out() -> QuerySet[Post]:
    """The visible posts that get feed entries."""
    return Post.objects.visible().exclude(_MERGED_ON_READ)


def _fill(user_id: int, posts: QuerySet[Post], *, limit: int) -> None:
    newest = posts.exclude(author=user_id).order_by("-published_at", "-pk")[:limit]
    _insert(newest.values_list(Value(user_id), "pk", "author_id", "published_at"))
    trim([user_id])


def _insert(rows: QuerySet[Any, Any]) -> None:
    """Insert feed entries from a query of (user id, post id, author id, published_at), without fetching the rows."""
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
