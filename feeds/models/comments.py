"""Comment: a comment on a post, or a reply to another comment on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models
from django.db.models.signals import post_save
from django.utils.translation import gettext_lazy as _

from feeds.models.posts import Post
from feeds.models.texts import CommentText
from feeds.models.writing import Writing, WritingQuerySet, store_text

if TYPE_CHECKING:
    from feeds.models.users import User


class CommentQuerySet(WritingQuerySet["Comment"]):
    """Comments."""

    def visible(self) -> CommentQuerySet:
        """Not deleted, and of a post that is visible."""
        return self.filter(Comment.VISIBLE)

    def of(self, author: User | int) -> CommentQuerySet:
        """The comments by one author."""
        return self.filter(author=author)


class Comment(Writing):
    """A comment. Deleting it is soft: it keeps its place in the thread and its replies; its content is not shown."""

    text_field, stored_text = "content", CommentText
    written = ("content",)
    CONTENT_LENGTH = 10_000

    VISIBLE = models.Q(deleted_at__isnull=True, post__status="published", post__deleted_at__isnull=True)

    post = models.ForeignKey(Post, models.CASCADE, related_name="comments", db_index=False, verbose_name=_("post"))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="comments", verbose_name=_("author")
    )
    parent = models.ForeignKey(
        "self", models.CASCADE, related_name="children", null=True, blank=True, verbose_name=_("answer to")
    )
    content = models.TextField(_("content"), max_length=CONTENT_LENGTH, validators=[MaxLengthValidator(CONTENT_LENGTH)])

    objects = CommentQuerySet.as_manager()

    class Meta:
        verbose_name = _("comment")
        verbose_name_plural = _("comments")
        indexes = [models.Index(fields=["post", "id"], name="feeds_comment_thread")]

    def __str__(self) -> str:
        return self.content[:50]

    def clean(self) -> None:
        """Raises ValidationError if the parent belongs to another post."""
        if self.parent is not None and self.parent.post_id != self.post_id:
            raise ValidationError({"parent": _("The comment you are replying to belongs to another post.")})

    @property
    def is_visible(self) -> bool:
        """Whether it is not deleted. Its post may be."""
        return self.deleted_at is None


post_save.connect(store_text, sender=Comment)
