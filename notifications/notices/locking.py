"""Locking: the posts and comments that notices are about, locked until the transaction ends.

While locked they cannot be deleted, so that no notice of deleted content is written; a later deletion finds the notice
and withdraws it. Posts are locked first, then comments, each in the order of their ids, so that no deadlock arises.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from feeds.models import Comment, Post


class Locked(NamedTuple):
    """Visible posts (also those of the comments) and visible comments by id, with their authors."""

    posts: dict[int, Post]
    comments: dict[int, Comment]


def lock_visible(*, post_ids: Iterable[int] = (), comment_ids: Iterable[int] = (), mentions: bool = False) -> Locked:
    """Lock those that are visible; a comment has its `parent` and its locked `post`. mentions: load the names, too."""
    ids = set(comment_ids)
    posts_of_comments = Comment.objects.filter(pk__in=ids).values_list("post_id", flat=True) if ids else []
    posts = Post.objects.visible().filter(pk__in={*post_ids, *posts_of_comments})
    posts = posts.select_related("author").order_by("pk")
    if mentions:
        posts = posts.with_text("mentions")
    locked = Locked({post.pk: post for post in posts.select_for_update(no_key=True, of=("self",))}, {})
    comments = Comment.objects.filter(pk__in=ids, post__in=list(locked.posts), deleted_at=None).order_by("pk")
    comments = comments.select_related("author", "parent").select_for_update(no_key=True, of=("self",))
    if mentions:
        comments = comments.with_text("mentions")
    for comment in comments if ids else ():
        comment.post = locked.posts[comment.post_id]
        locked.comments[comment.pk] = comment
    return locked
