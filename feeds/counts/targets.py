"""Targets: the posts and comments that are counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

from django.db.models import Case, Q, Value, When

from feeds.models import Comment, Entity, Post

#: A post or a comment: "post" or "comment", and its id.
EntityKey = tuple[str, int]


class CountTarget(NamedTuple):
    """A post or comment that is counted. `post_id` of a comment is that of its post; only posts have `published_at`."""

    post_id: int
    author_id: int
    visible: bool
    published_at: dt.datetime | None = None


def find_targets(keys: Iterable[EntityKey]) -> dict[EntityKey, CountTarget]:
    """The targets by key; a post or comment that does not exist is left out."""
    ids: dict[str, list[int]] = {Entity.POST.value: [], Entity.COMMENT.value: []}
    for entity_type, entity_id in keys:
        ids[entity_type].append(entity_id)
    found: dict[EntityKey, CountTarget] = {}
    if ids["post"]:
        posts = Post.objects.filter(pk__in=ids["post"]).annotate(visible=_is(Post.VISIBLE))
        for post_id, author_id, visible, published_at in posts.values_list(
            "pk", "author_id", "visible", "published_at"
        ):
            found["post", post_id] = CountTarget(post_id, author_id, visible, published_at)
    if ids["comment"]:
        comments = Comment.objects.filter(pk__in=ids["comment"]).annotate(visible=_is(Comment.VISIBLE))
        for comment_id, post_id, author_id, visible in comments.values_list("pk", "post_id", "author_id", "visible"):
            found["comment", comment_id] = CountTarget(post_id, author_id, visible)
    return found


def _is(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=Value(False))
