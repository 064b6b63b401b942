"""Recipients: the people that a kind of notice has to look for."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Q, QuerySet

from feeds.models import Comment, Follow, Post, User
from feeds.text.mentions import mentions


def followers_with_bell(post: Post) -> QuerySet[Follow, int]:
    """The ids of the followers who want to hear of each new post, ascending.

    The bell is on unless switched off; of an author with more than FANOUT_THRESHOLD followers, only if switched on.
    """
    follows = Follow.objects.filter(followee_id=post.author_id)
    crowd = follows[: settings.FANOUT_THRESHOLD + 1].count() > settings.FANOUT_THRESHOLD
    wanted = Q(bell=True) if crowd else Q(bell=True) | Q(bell=None)
    return follows.filter(wanted).order_by("follower_id").values_list("follower_id", flat=True)


def mentioned(writing: Post | Comment) -> list[int]:
    """The ids of the people whom a text calls by @name."""
    names = mentions(writing.body if isinstance(writing, Post) else writing.content)
    return list(User.objects.named(*names).active().values_list("pk", flat=True)) if names else []
