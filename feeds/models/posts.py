"""Post: a title and a Markdown body, a draft until published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import models
from django.db.models.signals import post_save
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import redact_errors
from feeds.models.search_documents import SearchDocument
from feeds.models.texts import PostText
from feeds.models.writing import Writing, WritingQuerySet, store_text

if TYPE_CHECKING:
    from feeds.models.users import User


class PostQuerySet(WritingQuerySet["Post"]):
    """Posts."""

    def visible(self) -> PostQuerySet:
        """Published and not deleted."""
        return self.filter(Post.VISIBLE)

    def of(self, author: User | int) -> PostQuerySet:
        """The posts by one author."""
        return self.filter(author=author)

    def drafts_of(self, author: User | int) -> PostQuerySet:
        """The drafts of one author, the last changed first."""
        return self.of(author).filter(status=Post.Status.DRAFT, deleted_at=None).order_by("-updated_at", "-id")


class Post(Writing):
    """A post. Once published it stays published. Deleting it is soft: the row stays, and nobody sees it."""

    text_field, stored_text = "body", PostText
    set_once = ("published_at", *Writing.set_once)
    written = ("title", "body")
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
    published_at = models.DateTimeField(_("published"), null=True, editable=False)

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

    def save_base(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        written = update_fields is None or "status" in update_fields
        if written and self.status == self.Status.PUBLISHED and self.published_at is None:
            self.published_at = timezone.now()
            update_fields = update_fields and {*update_fields, "published_at"}
        super().save_base(*args, update_fields=update_fields, **kwargs)

    def keep_first_values(self, previous: Self) -> None:
        super().keep_first_values(previous)
        if previous.status == self.Status.PUBLISHED:
            self.status = self.Status.PUBLISHED

    def erase_copies(self) -> None:
        super().erase_copies()
        # An event of a vote on a comment says nothing of the post, but its notice has the title.
        redact_errors(*(f"comment/{pk}" for pk in self.comments.values_list("pk", flat=True)))
        SearchDocument.objects.erase(self.pk)

    @property
    def is_visible(self) -> bool:
        """Published and not deleted."""
        return self.status == self.Status.PUBLISHED and self.deleted_at is None


post_save.connect(store_text, sender=Post)
