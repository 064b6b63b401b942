"""Comments: write, edit, delete."""

from __future__ import annotations

from django.utils.translation import gettext as _

from feeds.actions.action import action
from feeds.actions.lookups import may_moderate, refuse_blocked, visible_comment, visible_post
from feeds.errors import InvalidError, NotAllowedError, NotFoundError
from feeds.models import Comment, User
from feeds.text.cleaning import clean_text


@action
def comment(user: User, *, post_id: int, content: str, parent_id: int | None = None) -> Comment:
    """Comment on a post or, with `parent_id`, reply to a comment on it.

    Raises NotFoundError, NotAllowedError, InvalidError.
    """
    post = visible_post(post_id)
    parent = None
    if parent_id is not None:
        parent = Comment.objects.filter(pk=parent_id, post=post, deleted_at=None).first()
        if parent is None:
            raise InvalidError("parent_id", _("The comment you are replying to no longer exists."))
    refuse_blocked(user, post.author_id, *([parent.author_id] if parent else []))
    return Comment.objects.create(post=post, author=user, parent=parent, content=_content(content))


@action
def edit_comment(user: User, *, comment_id: int, content: str) -> Comment:
    """Change the user's own comment. Raises NotFoundError, NotAllowedError, InvalidError."""
    written = visible_comment(comment_id)
    if written.author_id != user.pk:
        raise NotAllowedError(_("Only the author can edit a comment."))
    written.content = _content(content)
    written.save(update_fields=["content"])
    return written


@action
def delete_comment(user: User, *, comment_id: int) -> None:
    """Delete a comment: allowed to its author, the owner of the circle, and staff.

    Raises NotFoundError, NotAllowedError.
    """
    written = Comment.objects.filter(pk=comment_id, deleted_at=None).select_related("post__circle").first()
    if written is None:
        raise NotFoundError(_("This comment doesn't exist or has been deleted."))
    if written.author_id != user.pk and not may_moderate(user, written.post):
        raise NotAllowedError(_("Only the author or a moderator can delete this comment."))
    written.deleted_by_id = user.pk
    written.delete()


def _content(content: str) -> str:
    return clean_text(content, field="content", max_length=Comment.CONTENT_LENGTH)
