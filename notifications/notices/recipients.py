"""Recipients: the users who get a notice, where a query finds them."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db.models import Q

from feeds.models import Comment, Follow, Post, User


def followers_with_bell(
    post: Post, *, after: int = 0, until: dt.datetime | None = None, limit: int | None = None
) -> list[int]:
    """The ids of the author's followers who want a notice of each new post, ascending.

    after: only ids above this one. until: only those who followed at that time or before. limit: at most this many.

    The bell is on unless it was switched off. For an author with more than FANOUT_THRESHOLD followers it is on only if
    it was switched on.
    """
    follows = Follow.objects.filter(followee_id=post.author_id)
    is_large = follows[: settings.FANOUT_THRESHOLD + 1].count() > settings.FANOUT_THRESHOLD
    follows = follows.filter(Q(bell=True) if is_large else Q(bell=True) | Q(bell=None), follower__gt=after)
    if until is not None:
        follows = follows.filter(created_at__lte=until)
    return list(follows.order_by("follower_id").values_list("follower_id", flat=True)[:limit])


def mentioned(writing: Post | Comment) -> list[int]:
    """The ids of the active users that a text mentions by @name."""
    names = writing.mentions
    return [user.pk for user in User.objects.meant(*names) if user.is_active] if names else []
