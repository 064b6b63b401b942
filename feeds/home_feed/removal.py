"""Removal: take posts out of feeds. A reader does not see them any more before that: reading filters them."""

from __future__ import annotations

from django.db.models import Exists, OuterRef

from feeds.home_feed.recipients import next_chunk, recipients_of
from feeds.models import FeedEntry, Follow, Membership, Post, PulledPost


def remove_post(post_id: int, *, after: int = 0) -> int | None:
    """Remove a post that is no longer visible from the feeds of the next chunk of its recipients.

    after: the chunk begins above this user id. Returns the last user id of the chunk; None if it was the last chunk.

    An entry is found by its whole primary key, so feeds need no index for this. A user who unfollowed the author, or
    left the circle, has lost the entry with that. An entry that a fan-out or a backfill adds at the same moment is
    filtered when read, until trimming removes it. A post with too many readers has no entries, only a row in
    PulledPost.
    """
    post = Post.objects.exclude(Post.VISIBLE).filter(pk=post_id).first()
    if post is None or post.published_at is None or PulledPost.objects.filter(pk=post_id).delete()[0]:
        return None
    sources, last = next_chunk(recipients_of(post), after=after)
    entries = FeedEntry.objects.filter(published_at=post.published_at, post=post_id)
    for rows in sources:
        entries.filter(user__in=rows.order_by().values("reader")).delete()
    return last


def remove_unwanted(user_id: int, *, author_id: int | None = None, circle_id: int | None = None) -> None:
    """Remove the entries of a feed that no follow or membership justifies any more: all, or of one author or circle."""
    entries = FeedEntry.objects.filter(user=user_id)
    if author_id is not None:
        entries = entries.filter(author_id=author_id)
    if circle_id is not None:
        entries = entries.filter(post__circle=circle_id)
    followed = Exists(Follow.objects.filter(follower=user_id, followee=OuterRef("author_id")))
    joined = Exists(Membership.objects.filter(user=user_id, circle=OuterRef("post__circle")))
    visible = Exists(Post.objects.visible().filter(pk=OuterRef("post_id")))
    entries.exclude(visible & (followed | joined)).delete()
