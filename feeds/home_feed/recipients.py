"""Recipients: the users whose feeds get a post."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.utils import timezone

from feeds.models import Follow, Membership, Post, User

#: Recipients per chunk, counted in followers and in members separately. A chunk is one delivery and one transaction.
RECIPIENTS_PER_CHUNK = 10_000
#: Time since a user was last seen after which the feed gets no entries; it is rebuilt on return.
ABSENT_AFTER = dt.timedelta(days=7)

#: Rows of Follow or Membership, annotated with `reader`: the id of the user who gets the post.
Recipients = QuerySet[Any, Any]


def seen_lately() -> QuerySet[User]:
    """The users whose feeds get entries. Banned users are among them: a ban may end before they are absent."""
    users: QuerySet[User] = User.objects.filter(last_seen_at__gte=timezone.now() - ABSENT_AFTER)
    return users


def recipients_of(post: Post) -> list[Recipients]:
    """The recipients of a post by source: the author's followers and, for a post in a circle, its members."""
    sources: list[Recipients] = [Follow.objects.filter(followee=post.author_id).annotate(reader=F("follower_id"))]
    if post.circle_id is not None:
        members = Membership.objects.filter(circle=post.circle_id).exclude(user=post.author_id)
        sources.append(members.annotate(reader=F("user_id")))
    return sources


def next_chunk(sources: list[Recipients], *, after: int) -> tuple[list[Recipients], int | None]:
    """The next recipients, by id, above the user id `after`; and the highest id among them, None in the last chunk."""
    sources = [rows.filter(reader__gt=after).order_by("reader") for rows in sources]
    # Of each source the last reader of a full chunk and, if there is one, the reader after it.
    edge = slice(RECIPIENTS_PER_CHUNK - 1, RECIPIENTS_PER_CHUNK + 1)
    ends = [list(rows.values_list("reader", flat=True)[edge]) for rows in sources]
    last = min((end[0] for end in ends if len(end) > 1), default=None)
    return sources if last is None else [rows.filter(reader__lte=last) for rows in sources], last


def seen_lately_among(rows: Recipients) -> Recipients:
    """The recipients whose feeds get entries.

    A subquery for each, no join: for a few thousand the planner would read all users instead of their index.
    """
    seen = User.objects.filter(pk=OuterRef("reader")).values("last_seen_at")
    kept: Recipients = rows.annotate(seen=Subquery(seen)).filter(seen__gte=timezone.now() - ABSENT_AFTER)
    return kept


def exceed_threshold(sources: list[Recipients]) -> bool:
    """Whether there are more than FANOUT_THRESHOLD recipients. Counts no further than that."""
    left: int = settings.FANOUT_THRESHOLD
    for rows in sources:
        left -= rows.order_by().values("pk")[: left + 1].count()
        if left < 0:
            return True
    return False
