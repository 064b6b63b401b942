"""Home feed: the posts of the people a viewer follows, of the viewer's circles, and of the viewer."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from feeds.home_feed.last_seen import mark_seen
from feeds.home_feed.on_read import posts_merged_on_read
from feeds.lists.by_time import newest_first, time_cursor, time_key
from feeds.lists.pagination import PAGE_SIZE, Page
from feeds.lists.presentation import present_page
from feeds.lists.visibility import without_hidden
from feeds.models import FeedEntry, Follow, Membership, Post, User


def list_home_feed(viewer: User, *, cursor: str | None = None, size: int = PAGE_SIZE) -> Page[Post]:
    """The viewer's feed, newest first, and the note that the viewer is here. Raises BadCursorError.

    1. The feed entries that fan-out wrote.
    2. The viewer's own posts, which no fan-out brings.
    3. The posts with too many readers for feed entries, no older than the end of the page so far.
    """
    mark_seen(viewer)
    after = time_key(cursor, "home")
    followed = Exists(Follow.objects.filter(follower=viewer, followee=OuterRef("author_id")))
    joined = Exists(Membership.objects.filter(user=viewer, circle__posts=OuterRef("post_id")))
    visible = without_hidden(Post.objects.visible(), viewer)
    is_visible = Exists(visible.filter(pk=OuterRef("post_id")))
    entries = FeedEntry.objects.filter(is_visible, followed | joined, user=viewer).values_list(
        "published_at", "post_id"
    )
    own: QuerySet[Post, Any] = visible.of(viewer).values_list("published_at", "pk")
    keys: set[tuple[dt.datetime, int]] = {
        *newest_first(entries, after=after, id_column="post_id")[: size + 1],
        *newest_first(own, after=after)[: size + 1],
    }
    merged = posts_merged_on_read(viewer).filter(is_visible).values_list("published_at", "post_id")
    if len(keys) > size:
        merged = merged.filter(published_at__gte=sorted(keys, reverse=True)[size][0])
    keys.update(newest_first(merged, after=after, id_column="post_id")[: size + 1])
    page = sorted(keys, reverse=True)[: size + 1]
    return present_page(page, size=size, cursor=lambda last: time_cursor("home", last), viewer=viewer)
