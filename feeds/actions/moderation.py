"""Moderation: restore what a moderator removed."""

from __future__ import annotations

from django.utils.translation import gettext as _

from feeds.actions.action import action
from feeds.actions.lookups import may_moderate
from feeds.errors import NotFoundError
from feeds.models import Comment, Post, User
from feeds.models.soft_delete import SoftDeleted
from feeds.text.cleaning import clean_line


@action
def restore_post(user: User, *, post_id: int) -> Post:
    """Show a removed post again: allowed to the owner of its circle, and staff. Raises NotFoundError."""
    post = Post.objects.filter(pk=post_id).select_related("circle").select_for_update(of=("self",)).first()
    if post is None or not post.is_restorable or not may_moderate(user, post):
        raise NotFoundError(_("This post can't be restored."))
    post.restore(by=user)
    return post


@action
def restore_comment(user: User, *, comment_id: int) -> Comment:
    """Show a removed comment again: allowed to the owner of the circle, and staff. Raises NotFoundError."""
    rows = Comment.objects.filter(pk=comment_id).select_related("post__circle")
    comment = rows.select_for_update(of=("self",)).first()
    if comment is None or not comment.is_restorable or not may_moderate(user, comment.post):
        raise NotFoundError(_("This comment can't be restored."))
    comment.restore(by=user)
    return comment


def removal_reason(reason: str) -> str:
    """The reason as it is stored. Raises InvalidError."""
    return clean_line(reason, field="reason", max_length=SoftDeleted.REASON_LENGTH, blank=True)
