"""Circle: a place for posts; and Membership: a user who belongs to it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource
from events.db import committed
from feeds.models.row_by_row import RowByRow
from feeds.text.cleaning import is_text
from feeds.text.slugs import RESERVED_SLUGS, normalized_slug


class CircleQuerySet(models.QuerySet["Circle"]):
    """Circles."""

    def with_slug(self, slug: str) -> CircleQuerySet:
        """The circle with this slug, regardless of case; none if the slug is no text."""
        return self.filter(slug=normalized_slug(slug)) if is_text(slug) else self.none()

    def with_member_count(self) -> CircleQuerySet:
        """Each with `member_count`."""
        members = Membership.objects.filter(circle=models.OuterRef("pk")).order_by().values("circle")
        count = members.annotate(count=models.Count("pk")).values("count")
        return self.annotate(member_count=models.functions.Coalesce(models.Subquery(count), 0))


class Circle(models.Model):
    """A circle. Its owner is its first member and may delete its posts and comments."""

    slug = models.SlugField(_("slug"), max_length=50, unique=True, allow_unicode=True)
    name = models.CharField(_("name"), max_length=100)
    description = models.TextField(_("description"), max_length=2_000, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="owned_circles", verbose_name=_("owner")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = CircleQuerySet.as_manager()

    class Meta:
        verbose_name = _("circle")
        verbose_name_plural = _("circles")

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, using: str | None = None, update_fields: Any = None, **kwargs: Any) -> None:
        """Raises ValidationError as `clean` does: under a reserved slug nobody could open the circle."""
        if update_fields is None or "slug" in update_fields:
            self.slug = normalized_slug(self.slug)
            self.clean()
        with committed(using=using):
            new = self._state.adding
            super().save(*args, using=using, update_fields=update_fields, **kwargs)
            if new:
                Membership.objects.create(circle=self, user_id=self.owner_id)

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Check the slug as it is stored: normalizing can make it longer, or make it an invalid slug."""
        self.slug = normalized_slug(self.slug)
        super().clean_fields(exclude)

    def clean(self) -> None:
        """Raises ValidationError if the slug is reserved for a page."""
        super().clean()
        if normalized_slug(self.slug) in RESERVED_SLUGS:
            raise ValidationError(
                {"slug": ValidationError(_("This address is already taken. Choose another."), code="taken")}
            )


class Membership(EventSource, models.Model):
    """A user belongs to a circle."""

    circle = models.ForeignKey(
        Circle, models.CASCADE, related_name="memberships", db_index=False, verbose_name=_("circle")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships", verbose_name=_("member")
    )
    created_at = models.DateTimeField(_("since"), default=timezone.now, editable=False)

    objects = RowByRow["Membership"].as_manager()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["circle", "user"], name="feeds_membership_once")]

    def __str__(self) -> str:
        return f"{self.user_id} ∈ {self.circle_id}"
