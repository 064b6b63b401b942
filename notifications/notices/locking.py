"""Content: the posts and comments that notices are about, held until the transaction ends.

Held, they cannot be deleted before the notice is written; a deletion that comes later finds the notice and withdraws
it. Posts come first, then comments, each in the order of the ids: nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from feeds.models import Comment, Post


class Held(NamedTuple):
    """Visible posts (those of the comments, too) and visible comments by their ids, with authors."""

    posts: dict[int, Post]
    comments: dict[int, Comment]


def hold(*, post_ids: Iterable[int] = (), comment_ids: Iterable[int] = ()) -> Held:
    """Lock what is visible of these; the comments come with their parents and held posts."""
    ids = set(comment_ids)
    around = Comment.objects.filter(pk__in=ids).values_list("post_id", flat=True) if ids else []
    posts = Post.objects.visible().filter(pk__in={*post_ids, *around}).select_related("author").order_by("pk")
    held = Held({post.pk: post for post in posts.select_for_update(no_key=True, of=("self",))}, {})
    comments = Comment.objects.filter(pk__in=ids, post__in=list(held.posts), deleted_at=None).order_by("pk")
    comments = comments.select_related("author", "parent").select_for_update(no_key=True, of=("self",))
    for comment in comments if ids else ():
        comment.post = held.posts[comment.post_id]
        held.comments[comment.pk] = comment
    return held
