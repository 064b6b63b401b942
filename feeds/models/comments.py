"""Comment: an answer to a post or to another comment of it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource
from feeds.models.posts import Post
from feeds.models.row_by_row import RowByRow


class CommentQuerySet(RowByRow["Comment"]):
    """Comments."""

    def visible(self) -> CommentQuerySet:
        """Not deleted, and of a post that is visible."""
        return self.filter(deleted_at=None, post__status=Post.Status.PUBLISHED, post__deleted_at=None)

    def of(self, author: models.Model | int) -> CommentQuerySet:
        """Those one person wrote."""
        return self.filter(author=author)


class Comment(EventSource, models.Model):
    """A comment. Deleting it is soft: its place in the thread stays, and its answers; its content is never shown again."""

    CONTENT_LENGTH = 10_000

    post = models.ForeignKey(Post, models.CASCADE, related_name="comments", db_index=False, verbose_name=_("post"))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="comments", verbose_name=_("author")
    )
    parent = models.ForeignKey(
        "self", models.CASCADE, related_name="children", null=True, blank=True, verbose_name=_("answer to")
    )
    content = models.TextField(_("content"), max_length=CONTENT_LENGTH, validators=[MaxLengthValidator(CONTENT_LENGTH)])
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, editable=False)

    objects = CommentQuerySet.as_manager()

    class Meta:
        verbose_name = _("comment")
        verbose_name_plural = _("comments")
        indexes = [models.Index(fields=["post", "id"], name="feeds_comment_thread")]

    def __str__(self) -> str:
        return self.content[:50]

    def clean(self) -> None:
        """Raises ValidationError when the parent belongs to another post."""
        if self.parent is not None and self.parent.post_id != self.post_id:
            raise ValidationError({"parent": _("The comment that this answers belongs to another post.")})

    def save(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        if update_fields is not None:
            update_fields = {*update_fields, "updated_at"}
        super().save(*args, update_fields=update_fields, **kwargs)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Hide the content for good."""
        self.deleted_at = self.deleted_at or timezone.now()
        self.save(using=using, update_fields={"deleted_at"})
        return 1, {self._meta.label: 1}

    @property
    def is_visible(self) -> bool:
        """Not deleted (whether its post is, the post tells)."""
        return self.deleted_at is None
