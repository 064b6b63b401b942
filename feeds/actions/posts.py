"""Posts: write, publish, edit, delete."""

from __future__ import annotations

from typing import TypedDict, Unpack

from django.utils.translation import gettext as _

from feeds.actions.action import verb
from feeds.actions.lookups import kept_post, may_moderate
from feeds.errors import InvalidError, NotAllowedError
from feeds.models import Circle, Post, User
from feeds.text import cleaning as texts


class PostChanges(TypedDict, total=False):
    """What may be changed of a post; what is left out stays."""

    title: str
    body: str
    circle: str | None
    status: str


@verb
def create_post(
    user: User, *, title: str, body: str = "", circle: str | None = None, status: str = Post.Status.PUBLISHED
) -> Post:
    """Publish a post, or keep it as a draft; `circle` is a slug. Raises InvalidError."""
    return Post.objects.create(
        author=user, title=_title(title), body=_body(body), circle=_circle(circle), status=_status(status)
    )


@verb
def edit_post(user: User, *, post_id: int, **changes: Unpack[PostChanges]) -> Post:
    """Change one's own post; `status="published"` publishes a draft. Raises NotFoundError, NotAllowedError, InvalidError."""
    post = kept_post(post_id, by=user)
    if post.author_id != user.pk:
        raise NotAllowedError(_("Only its author may edit a post."))
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
    """Show one's own draft to everyone. Raises NotFoundError, NotAllowedError."""
    return edit_post(user, post_id=post_id, status=Post.Status.PUBLISHED)


@verb
def delete_post(user: User, *, post_id: int) -> None:
    """Take a post away: its author, the owner of its circle, or staff. Raises NotFoundError, NotAllowedError."""
    post = kept_post(post_id, by=user)
    if post.author_id != user.pk and not may_moderate(user, post):
        raise NotAllowedError(_("You may not delete this post."))
    post.delete()


def _title(title: str) -> str:
    return texts.line(title, field="title", most=Post.TITLE_LENGTH)


def _body(body: str) -> str:
    return texts.text(body, field="body", most=Post.BODY_LENGTH, blank=True)


def _circle(slug: str | None) -> Circle | None:
    if not slug:
        return None
    circle = Circle.objects.at(slug).first()
    if circle is None:
        raise InvalidError("circle", _("There is no such circle."))
    return circle


def _status(status: str, *, now: str = Post.Status.DRAFT) -> str:
    if status not in Post.Status.values:
        raise InvalidError("status", _("A post is a draft or published."))
    if now == Post.Status.PUBLISHED and status != now:
        raise InvalidError("status", _("What is published cannot become a draft again."))
    return status
