"""Lookups: the rows an action is about. Each raises NotFoundError when there is no such row for this user.

Across a block there is nothing to read, change or delete, but one's own and what one moderates. What one would do
towards the author (vote, comment, follow) is refused with the reason instead, by `standing`.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from feeds.errors import InvalidError, NotAllowedError, NotFoundError
from feeds.lists.visibility import Viewer, user_or_none
from feeds.models import Block, Circle, Comment, Entity, Post, User


def visible_post(post_id: int) -> Post:
    """A post that everyone sees. Raises NotFoundError."""
    post = Post.objects.visible().filter(pk=post_id).first()
    if post is None:
        raise NotFoundError(_("This post doesn't exist or has been deleted."))
    return post


def kept_post(post_id: int, *, by: User) -> Post:
    """A post that is not deleted; a draft only if `by` is its author. Raises NotFoundError, also across a block."""
    post = Post.objects.filter(pk=post_id, deleted_at=None).select_related("circle").first()
    if post is None or not (post.is_visible or post.author_id == by.pk) or _is_hidden(post, by):
        raise NotFoundError(_("This post doesn't exist or has been deleted."))
    return post


def visible_comment(comment_id: int, *, by: Viewer = None) -> Comment:
    """A comment that everyone sees. Raises NotFoundError; with `by`, also across a block."""
    return _found(Comment.objects.visible().filter(pk=comment_id).first(), by)


def kept_comment(comment_id: int, *, by: User) -> Comment:
    """A comment that is not deleted; its post may be. Raises NotFoundError, also across a block."""
    return _found(Comment.objects.filter(pk=comment_id, deleted_at=None).select_related("post__circle").first(), by)


def visible_entity(entity_type: str, entity_id: int) -> Post | Comment:
    """A post or comment that everyone sees. Raises NotFoundError, and InvalidError for an unknown entity type."""
    if entity_type == Entity.POST:
        return visible_post(entity_id)
    if entity_type == Entity.COMMENT:
        return visible_comment(entity_id)
    raise InvalidError("entity_type", _("You can vote only on posts and comments."))


def active_user(username: str) -> User:
    """A user who is neither banned nor deleted. Raises NotFoundError."""
    user: User | None = User.objects.active().named(username).first()
    if user is None:
        raise NotFoundError(_("This user doesn't exist."))
    return user


def any_user(username: str) -> User:
    """A user, also a banned one: a follow, block or mute of them can be ended. Raises NotFoundError."""
    user: User | None = User.objects.named(username).first()
    if user is None:
        raise NotFoundError(_("This user doesn't exist."))
    return user


def circle_with_slug(slug: str) -> Circle:
    """A circle. Raises NotFoundError."""
    circle = Circle.objects.with_slug(slug).first()
    if circle is None:
        raise NotFoundError(_("This circle doesn't exist."))
    return circle


def may_moderate(user: User, post: Post) -> bool:
    """Whether a user may delete the post, and comments on it: staff, and the owner of its circle."""
    return user.is_staff or (post.circle is not None and post.circle.owner_id == user.pk)


def require_deleter(user: User, written: Post | Comment) -> None:
    """Raises NotAllowedError unless the user may delete a post or comment: its author, and who may moderate it."""
    post = written if isinstance(written, Post) else written.post
    if written.author_id != user.pk and not may_moderate(user, post):
        raise NotAllowedError(
            _("Only the author or a moderator can delete this post.")
            if written is post
            else _("Only the author or a moderator can delete this comment.")
        )


def _found(comment: Comment | None, by: Viewer) -> Comment:
    if comment is None or _is_hidden(comment, by):
        raise NotFoundError(_("This comment doesn't exist or has been deleted."))
    return comment


def _is_hidden(written: Post | Comment, viewer: Viewer) -> bool:
    """Whether there is a block between the viewer and the author of the text, or of the post that it is on."""
    user = user_or_none(viewer)
    if user is None or written.author_id == user.pk:
        return False
    post = written if isinstance(written, Post) else written.post
    return Block.objects.between(user, {written.author_id, post.author_id}).exists() and not may_moderate(user, post)
