"""Post: a title and a Markdown body, a draft until published."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource
from feeds.models.row_by_row import RowByRow


class PostQuerySet(RowByRow["Post"]):
    """Posts."""

    def visible(self) -> PostQuerySet:
        """Published and not deleted."""
        return self.filter(Post.VISIBLE)

    def of(self, author: models.Model | int) -> PostQuerySet:
        """Those one person wrote."""
        return self.filter(author=author)

    def drafts_of(self, author: models.Model | int) -> PostQuerySet:
        """What a person has begun and not published, the latest first."""
        return self.of(author).filter(status=Post.Status.DRAFT, deleted_at=None).order_by("-updated_at", "-id")


class Post(EventSource, models.Model):
    """A post. Deleting it is soft: the row stays, and nobody sees it."""

    TITLE_LENGTH, BODY_LENGTH = 300, 40_000

    class Status(models.TextChoices):
        DRAFT = "draft", _("draft")
        PUBLISHED = "published", _("published")

    VISIBLE = models.Q(status="published", deleted_at__isnull=True)

    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="posts", verbose_name=_("author"))
    circle = models.ForeignKey(
        "feeds.Circle", models.PROTECT, related_name="posts", null=True, blank=True, verbose_name=_("circle")
    )
    title = models.CharField(_("title"), max_length=TITLE_LENGTH)
    body = models.TextField(_("body"), blank=True, max_length=BODY_LENGTH, validators=[MaxLengthValidator(BODY_LENGTH)])
    status = models.CharField(_("status"), max_length=9, choices=Status.choices, default=Status.PUBLISHED)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    published_at = models.DateTimeField(_("published"), null=True, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, editable=False)

    objects = PostQuerySet.as_manager()

    class Meta:
        verbose_name = _("post")
        verbose_name_plural = _("posts")
        indexes = [
            models.Index(
                models.F("published_at").desc(),
                models.F("id").desc(),
                condition=models.Q(status="published", deleted_at__isnull=True),
                name="feeds_post_new",
            ),
            models.Index(
                "author",
                models.F("published_at").desc(),
                models.F("id").desc(),
                condition=models.Q(status="published", deleted_at__isnull=True),
                name="feeds_post_author",
            ),
            models.Index(
                "circle",
                models.F("published_at").desc(),
                models.F("id").desc(),
                condition=models.Q(status="published", deleted_at__isnull=True, circle__isnull=False),
                name="feeds_post_circle",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        if update_fields is not None:
            update_fields = {*update_fields, "updated_at"}
        if self.status == self.Status.PUBLISHED and self.published_at is None:
            self.published_at = timezone.now()
            update_fields = update_fields and {*update_fields, "published_at"}
        super().save(*args, update_fields=update_fields, **kwargs)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Hide the post for good. The first time counts, also between two who delete at once."""
        self.deleted_at = self.deleted_at or timezone.now()
        self.save(using=using, update_fields={"deleted_at"})
        return 1, {self._meta.label: 1}

    @property
    def is_visible(self) -> bool:
        """Published and not deleted."""
        return self.status == self.Status.PUBLISHED and self.deleted_at is None
