"""Comments: write, edit, delete."""

from __future__ import annotations

from django.utils.translation import gettext as _

from feeds.actions.action import action
from feeds.actions.lookups import kept_comment, require_deleter, visible_comment, visible_post
from feeds.actions.moderation import removal_reason
from feeds.actions.standing import refuse_blocked
from feeds.errors import InvalidError, NotAllowedError
from feeds.models import Comment, User
from feeds.text.cleaning import clean_text
from feeds.text.parsed import parsed
from feeds.text.visible import shows_something


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
    written = visible_comment(comment_id, by=user)
    if written.author_id != user.pk:
        raise NotAllowedError(_("Only the author can edit a comment."))
    written.content = _content(content)
    written.save(update_fields=["content"])
    return written


@action
def delete_comment(user: User, *, comment_id: int, reason: str = "") -> None:
    """Delete the user's own comment, which erases it; or, as the owner of the circle or staff, remove another's.

    Raises NotFoundError, NotAllowedError.
    """
    written = kept_comment(comment_id, by=user)
    require_deleter(user, written)
    if written.author_id == user.pk:
        written.delete()
    else:
        written.remove(by=user, reason=removal_reason(reason))


def _content(content: str) -> str:
    content = clean_text(content, field="content", max_length=Comment.CONTENT_LENGTH)
    shown = parsed(content)
    if not shows_something(shown.words) and "<hr" not in shown.html:
        raise InvalidError("content", _("Nothing of this would be shown. Write some text."))
    return content
