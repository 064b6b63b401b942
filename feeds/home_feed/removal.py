"""Retraction: take posts out of feeds. Reading filters them at once; here the feeds are tidied up."""

from __future__ import annotations

from django.db.models import Exists, OuterRef

from feeds.home_feed.recipients import next_chunk, readers_of
from feeds.models import FeedEntry, Follow, Membership, Post, PulledPost


def retract_post(post_id: int, *, after: int = 0) -> int | None:
    """Take a post that is no longer visible out of the feeds of its next readers after the user `after`; returns the
    last one if there may be more.

    An entry is found by its whole key, so that feeds need no index for this. Who is no reader any more has lost the
    author's or the circle's posts with that. What a fan-out or a backfill adds at the same moment is filtered at read,
    until newer entries push it out. A post with too many readers is in no feed: there is only its mark to delete.
    """
    post = Post.objects.exclude(Post.VISIBLE).filter(pk=post_id).first()
    if post is None or post.published_at is None or PulledPost.objects.filter(pk=post_id).delete()[0]:
        return None
    sources, last = next_chunk(readers_of(post), after=after)
    entries = FeedEntry.objects.filter(published_at=post.published_at, post=post_id)
    for rows in sources:
        entries.filter(user__in=rows.order_by().values("reader")).delete()
    return last


def retract_unwanted(user_id: int, *, author_id: int | None = None, circle_id: int | None = None) -> None:
    """Take an author's or a circle's posts out of a feed, but those that are in it for another reason, too."""
    entries = FeedEntry.objects.filter(user=user_id)
    if author_id is not None:
        entries = entries.filter(author_id=author_id)
    if circle_id is not None:
        entries = entries.filter(post__circle=circle_id)
    followed = Exists(Follow.objects.filter(follower=user_id, followee=OuterRef("author_id")))
    joined = Exists(Membership.objects.filter(user=user_id, circle=OuterRef("post__circle")))
    visible = Exists(Post.objects.visible().filter(pk=OuterRef("post_id")))
    entries.exclude(visible & (followed | joined)).delete()
