"""Fan-out: put posts into feeds, and take them out.

Every function reads current state and inserts with ON CONFLICT DO NOTHING: a repeated or late call does no harm.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Set
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.db import connections, router
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from feeds.models import FeedEntry, Follow, Membership, Post, PulledPost, User

#: Readers per chunk: a chunk is one delivery and one transaction.
CHUNK = 1000
#: A feed is trimmed to so many entries.
KEPT = 400
#: So many posts of a newly followed author, or newly joined circle, come into the feed.
BACKFILL = 100
#: So many posts come into a feed that is built anew.
REBUILT = 200
#: After so long an absence a feed is no longer kept, but built anew on return.
ABSENCE = dt.timedelta(days=7)
#: Feeds trimmed per chunk at most: a large audience takes turns from post to post, so that trimming stays cheap.
TRIMMED = 16


def fan_out(post_id: int, *, after: int = 0) -> int | None:
    """Put a post into the feeds of its next readers after the user `after`; returns the last one if there may be more.

    The readers are the author's followers and, for a post in a circle, its members; those long absent are left out.
    """
    post = Post.objects.visible().filter(pk=post_id).first()
    if post is None or post.published_at is None:
        return None
    if not after and _is_too_large(post):
        PulledPost.objects.get_or_create(
            post=post, defaults={"author_id": post.author_id, "published_at": post.published_at}
        )
        return None
    readers = _readers(post, after)
    if not readers:
        return None
    rows = present().filter(pk__in=readers).exclude(pk=post.author_id).order_by("pk")
    _insert(rows.values_list("pk", Value(post.pk), Value(post.author_id), Value(post.published_at)))
    stride = max(1, len(readers) // TRIMMED)
    trim([reader for reader in readers if reader % stride == post.pk % stride])
    return readers[-1] if len(readers) == CHUNK else None


def present() -> QuerySet[User]:
    """The users whose feeds are kept: active and here lately."""
    users: QuerySet[User] = User.objects.active()
    return users.filter(last_seen_at__gte=timezone.now() - ABSENCE)


def retract_post(post_id: int) -> None:
    """Take a post out of all feeds, unless it is visible."""
    if not Post.objects.visible().filter(pk=post_id).exists():
        FeedEntry.objects.filter(post=post_id).delete()
        PulledPost.objects.filter(post=post_id).delete()


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


def retract_unwanted(user_id: int, *, author_id: int | None = None, circle_id: int | None = None) -> None:
    """Take an author's or a circle's posts out of a feed, but those that are in it for another reason, too."""
    entries = FeedEntry.objects.filter(user=user_id)
    if author_id is not None:
        entries = entries.filter(author_id=author_id)
    if circle_id is not None:
        entries = entries.filter(post__circle=circle_id)
    followed = Exists(Follow.objects.filter(follower=user_id, followee=OuterRef("author_id")))
    joined = Exists(Membership.objects.filter(user=user_id, circle=OuterRef("post__circle")))
    entries.exclude(followed | joined).delete()


def rebuild(user_id: int) -> None:
    """Put the newest posts that belong into a feed there, all sources together."""
    followees = Follow.objects.filter(follower=user_id).values("followee")
    circles = Membership.objects.filter(user=user_id).values("circle")
    wanted = _pushed().filter(Q(author__in=followees) | Q(circle__in=circles))
    _fill(user_id, wanted, limit=REBUILT)


def trim(user_ids: list[int]) -> None:
    """Cut these feeds to their newest entries."""
    own = FeedEntry.objects.filter(user=OuterRef("pk")).order_by("-published_at", "-post")
    users = User.objects.filter(pk__in=user_ids).annotate(first_too_many=own.values("published_at")[KEPT : KEPT + 1])
    surplus = [
        Q(user=user_id, published_at__lte=moment)
        for user_id, moment in users.exclude(first_too_many=None).values_list("pk", "first_too_many")
    ]
    if surplus:
        FeedEntry.objects.filter(reduce(or_, surplus)).delete()


def _is_too_large(post: Post) -> bool:
    """Whether followers and members are more than FANOUT_THRESHOLD; never counts further than that."""
    most: int = settings.FANOUT_THRESHOLD
    followers = Follow.objects.filter(followee=post.author_id)[: most + 1].count()
    return followers > most or _members(post)[: most + 1 - followers].count() + followers > most


def _readers(post: Post, after: int) -> list[int]:
    """The next readers in the order of their ids, a chunk of them."""
    followers = Follow.objects.filter(followee=post.author_id, follower__gt=after).order_by("follower")
    readers = set(followers.values_list("follower_id", flat=True)[:CHUNK])
    if post.circle_id is not None:
        members = _members(post).filter(user__gt=after).order_by("user")
        readers |= set(members.values_list("user_id", flat=True)[:CHUNK])
    return sorted(readers)[:CHUNK]


def _members(post: Post) -> QuerySet[Membership]:
    return Membership.objects.filter(circle=post.circle_id) if post.circle_id else Membership.objects.none()


def _pushed() -> QuerySet[Post]:
    """The visible posts that are put into feeds, not merged in on reading."""
    return Post.objects.visible().exclude(Exists(PulledPost.objects.filter(post=OuterRef("pk"))))


def _fill(user_id: int, posts: QuerySet[Post], *, limit: int) -> None:
    newest = posts.exclude(author=user_id).order_by("-published_at", "-pk")[:limit]
    _insert(newest.values_list(Value(user_id), "pk", "author_id", "published_at"))
    trim([user_id])


def _insert(rows: QuerySet[Any, Any]) -> None:
    """Insert (user, post, author, published) as selected: the rows never leave the database."""
    select, parameters = rows.query.sql_with_params()
    connection = connections[router.db_for_write(FeedEntry)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {FeedEntry._meta.db_table} (user_id, post_id, author_id, published_at) {select}"
            " ON CONFLICT DO NOTHING",
            parameters,
        )
