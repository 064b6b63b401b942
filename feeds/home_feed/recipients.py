"""Readers: into whose feeds a post comes."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.utils import timezone

from feeds.models import Follow, Membership, Post, User

#: Readers per chunk, of followers and members each: a chunk is one delivery and one transaction.
CHUNK = 10_000
#: After so long an absence a feed is no longer kept, but built anew on return.
ABSENCE = dt.timedelta(days=7)

#: Rows with a `reader` each.
Readers = QuerySet[Any, Any]


def present() -> QuerySet[User]:
    """The users whose feeds are kept: here lately. Also the banned ones, who may be let in again before long."""
    users: QuerySet[User] = User.objects.filter(last_seen_at__gte=timezone.now() - ABSENCE)
    return users


def readers_of(post: Post) -> list[Readers]:
    """The readers of a post, from each source: the author's followers and, for a post in a circle, its members."""
    sources: list[Readers] = [Follow.objects.filter(followee=post.author_id).annotate(reader=F("follower_id"))]
    if post.circle_id is not None:
        members = Membership.objects.filter(circle=post.circle_id).exclude(user=post.author_id)
        sources.append(members.annotate(reader=F("user_id")))
    return sources


def next_chunk(sources: list[Readers], *, after: int) -> tuple[list[Readers], int | None]:
    """The readers next to the user `after` in the order of their ids, and the last of them if there are more."""
    sources = [rows.filter(reader__gt=after).order_by("reader") for rows in sources]
    ends = [list(rows.values_list("reader", flat=True)[CHUNK - 1 : CHUNK + 1]) for rows in sources]
    last = min((end[0] for end in ends if len(end) > 1), default=None)
    return sources if last is None else [rows.filter(reader__lte=last) for rows in sources], last


def present_among(rows: Readers) -> Readers:
    """Those of the readers whose feeds are kept.

    By a look at each, and not by a join: for a few thousand the planner would rather read all users than their index.
    """
    seen = User.objects.filter(pk=OuterRef("reader")).values("last_seen_at")
    kept: Readers = rows.annotate(seen=Subquery(seen)).filter(seen__gte=timezone.now() - ABSENCE)
    return kept


def are_too_many(sources: list[Readers]) -> bool:
    """Whether there are more than FANOUT_THRESHOLD; never counts further than that."""
    left: int = settings.FANOUT_THRESHOLD
    for rows in sources:
        left -= rows.order_by().values("pk")[: left + 1].count()
        if left < 0:
            return True
    return False
