"""Lookups: the rows an action is about. Each raises NotFoundError when there is no such row for this user."""

from __future__ import annotations

from django.db.models import Q
from django.utils.translation import gettext as _

from feeds.errors import InvalidError, NotAllowedError, NotFoundError
from feeds.models import Block, Circle, Comment, Entity, Post, User


def visible_post(post_id: int) -> Post:
    """A post that everyone sees. Raises NotFoundError."""
    post = Post.objects.visible().filter(pk=post_id).first()
    if post is None:
        raise NotFoundError(_("This post doesn't exist or has been deleted."))
    return post


def kept_post(post_id: int, *, by: User) -> Post:
    """A post that is not deleted; a draft only if `by` is its author. Raises NotFoundError."""
    post = Post.objects.filter(pk=post_id, deleted_at=None).select_related("circle").first()
    if post is None or not (post.is_visible or post.author_id == by.pk):
        raise NotFoundError(_("This post doesn't exist or has been deleted."))
    return post


def visible_comment(comment_id: int) -> Comment:
    """A comment that everyone sees. Raises NotFoundError."""
    comment = Comment.objects.visible().filter(pk=comment_id).first()
    if comment is None:
        raise NotFoundError(_("This comment doesn't exist or has been deleted."))
    return comment


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


def refuse_blocked(user: User, *author_ids: int) -> None:
    """Raises NotAllowedError if there is a block, in either direction, between the user and one of these authors."""
    either_way = Q(user__in=author_ids, target=user) | Q(user=user, target__in=author_ids)
    block = Block.objects.filter(either_way).first()
    if block is not None:
        own = block.user_id == user.pk
        raise NotAllowedError(
            _("You've blocked this person. Unblock them first.") if own else _("This person has blocked you.")
        )


def may_moderate(user: User, post: Post) -> bool:
    """Whether a user may delete the post, and comments on it: staff, and the owner of its circle."""
    return user.is_staff or (post.circle is not None and post.circle.owner_id == user.pk)
