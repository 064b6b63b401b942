"""Posts: write, publish, edit, delete."""

from __future__ import annotations

from typing import TypedDict, Unpack

from django.utils.translation import gettext as _

from feeds.actions.action import action
from feeds.actions.lookups import kept_post, require_deleter
from feeds.actions.moderation import removal_reason
from feeds.errors import InvalidError, NotAllowedError
from feeds.models import Circle, Post, User
from feeds.text.cleaning import clean_line, clean_text


class PostChanges(TypedDict, total=False):
    """The fields of a post that can change; a missing key leaves the field as it is. `circle`: a slug, or None."""

    title: str
    body: str
    circle: str | None
    status: str


@action
def create_post(
    user: User, *, title: str, body: str = "", circle: str | None = None, status: str = Post.Status.PUBLISHED
) -> Post:
    """Publish a post, or save it as a draft. circle: a slug, or None. Raises InvalidError."""
    return Post.objects.create(
        author=user, title=_title(title), body=_body(body), circle=_circle(circle), status=_status(status)
    )


@action
def edit_post(user: User, *, post_id: int, **changes: Unpack[PostChanges]) -> Post:
    """Change the user's own post; `status="published"` publishes a draft.

    Raises NotFoundError, NotAllowedError, InvalidError.
    """
    post = kept_post(post_id, by=user)
    if post.author_id != user.pk:
        raise NotAllowedError(_("Only the author can edit a post."))
    edited = set(changes)
    if "title" in changes:
        post.title = _title(changes["title"])
    if "body" in changes:
        post.body = _body(changes["body"])
    if "circle" in changes:
        post.circle = _circle(changes["circle"])
    if "status" in changes:
        post.status = _status(changes["status"], now=post.status)
    if edited:
        post.save(update_fields=edited)
    return post


def publish_post(user: User, *, post_id: int) -> Post:
    """Publish the user's own draft. Raises NotFoundError, NotAllowedError."""
    return edit_post(user, post_id=post_id, status=Post.Status.PUBLISHED)


@action
def delete_post(user: User, *, post_id: int, reason: str = "") -> None:
    """Delete the user's own post, which erases it; or, as the owner of its circle or staff, remove another's.

    Raises NotFoundError, NotAllowedError.
    """
    post = kept_post(post_id, by=user)
    require_deleter(user, post)
    if post.author_id == user.pk:
        post.delete()
    else:
        post.remove(by=user, reason=removal_reason(reason))


def _title(title: str) -> str:
    return clean_line(title, field="title", max_length=Post.TITLE_LENGTH)


def _body(body: str) -> str:
    return clean_text(body, field="body", max_length=Post.BODY_LENGTH, blank=True)


def _circle(slug: str | None) -> Circle | None:
    if not slug:
        return None
    circle = Circle.objects.with_slug(slug).first()
    if circle is None:
        raise InvalidError("circle", _("This circle doesn't exist."))
    return circle


def _status(status: str, *, now: str = Post.Status.DRAFT) -> str:
    if status not in Post.Status.values:
        raise InvalidError("status", _("The status must be “draft” or “published”."))
    if now == Post.Status.PUBLISHED and status != now:
        raise InvalidError("status", _("A published post can't be turned back into a draft."))
    return status
