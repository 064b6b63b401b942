"""Neighbours: where a reader is in a thread when a comment is gone from it."""

from __future__ import annotations

from feeds.lists.threads import list_comments
from feeds.lists.visibility import Viewer
from feeds.models import Comment


def place_without(comment: Comment, *, viewer: Viewer = None) -> int | None:
    """The id of the comment to show in the place of one that is about to be deleted; None if no other is near.

    It keeps its own place while it has replies. Otherwise it is the comment it replies to, or the one before or after.
    """
    page = list_comments(comment.post, viewer=viewer, focus=comment.pk).items
    ids = [one.pk for one in page]
    if comment.pk not in ids:
        return comment.parent_id
    at = ids.index(comment.pk)
    depth = page[at].depth  # type: ignore[attr-defined]
    after, before = page[at + 1 :], page[:at][::-1]
    if after and after[0].depth > depth:  # type: ignore[attr-defined]
        return comment.pk
    above = []
    for one in before:
        if one.depth < depth:  # type: ignore[attr-defined]
            above.append(one)
            depth = one.depth  # type: ignore[attr-defined]
    near = [*above, *before, *after]
    return next((one.pk for one in near if one.shown), None)  # type: ignore[attr-defined]
