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
from feeds.models.looks import CircleLook
from feeds.models.row_by_row import RowByRow
from feeds.text.cleaning import is_text
from feeds.text.lookalikes import mixes_scripts
from feeds.text.looks import looks_of_slug
from feeds.text.slugs import RESERVED_SLUGS, normalized_slug, words_of_slug


class CircleQuerySet(models.QuerySet["Circle"]):
    """Circles."""

    def with_slug(self, slug: str) -> CircleQuerySet:
        """The circle with this slug, regardless of case; none if the slug is no text."""
        return self.filter(slug=normalized_slug(slug)) if is_text(slug) else self.none()

    def inheritable(self) -> CircleQuerySet:
        """Those with a member beside the owner, who could own the circle."""
        heirs = Membership.objects.filter(circle=models.OuterRef("pk"), user__is_active=True)
        return self.filter(models.Exists(heirs.exclude(user=models.OuterRef("owner")))).order_by("pk")

    def with_member_count(self) -> CircleQuerySet:
        """Each with `member_count`."""
        members = Membership.objects.filter(circle=models.OuterRef("pk")).order_by().values("circle")
        count = members.annotate(count=models.Count("pk")).values("count")
        return self.annotate(member_count=models.functions.Coalesce(models.Subquery(count), 0))


class Circle(models.Model):
    """A circle. Its owner is its first member and may delete its posts and comments."""

    SLUG_LENGTH, NAME_LENGTH, DESCRIPTION_LENGTH = 50, 100, 2_000

    slug = models.SlugField(_("slug"), max_length=SLUG_LENGTH, unique=True, allow_unicode=True)
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    description = models.TextField(_("description"), max_length=DESCRIPTION_LENGTH, blank=True)
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
        with_slug = update_fields is None or "slug" in update_fields
        if with_slug:
            self.slug = normalized_slug(self.slug)
            self.clean()
        with committed(using=using):
            new = self._state.adding
            renamed = with_slug and self._stored_slug() != self.slug
            super().save(*args, using=using, update_fields=update_fields, **kwargs)
            if renamed:
                self._take_look()
            if new:
                Membership.objects.create(circle=self, user_id=self.owner_id)

    def _take_look(self) -> None:
        """Raises ValidationError if another circle has the look, also if it takes it at the same time."""
        wanted = {self.pk: self.looks_wanted}
        CircleLook.objects.take(wanted)
        if CircleLook.objects.lacking(wanted):
            raise ValidationError({"slug": _lookalike()})

    def _stored_slug(self) -> str | None:
        return type(self).objects.filter(pk=self.pk).values_list("slug", flat=True).first()

    @property
    def looks_wanted(self) -> set[str]:
        """What the slug looks like."""
        return looks_of_slug(self.slug)

    def pass_on(self) -> None:
        """Give it to the member who belongs to it longest, next to the owner; without one it keeps its owner."""
        members = self.memberships.exclude(user=self.owner_id).filter(user__is_active=True)
        heir = members.order_by("created_at", "pk").values_list("user_id", flat=True).first()
        if heir is not None:
            self.owner_id = heir
            self.save(update_fields={"owner"})

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Check the slug as it is stored: normalizing can make it longer, or make it an invalid slug."""
        self.slug = normalized_slug(self.slug)
        super().clean_fields(exclude)

    def clean(self) -> None:
        """Raises ValidationError for a slug that is reserved for a page, and for a new one that passes for another."""
        super().clean()
        slug = normalized_slug(self.slug)
        if slug in RESERVED_SLUGS:
            raise ValidationError(
                {"slug": ValidationError(_("This address is already taken. Choose another."), code="taken")}
            )
        if slug == self._stored_slug():
            return
        if any(mixes_scripts(word) for word in words_of_slug(slug)):
            raise ValidationError(
                {"slug": _("A word of this address mixes scripts whose letters look alike. Use letters of one script.")}
            )
        alike = CircleLook.objects.filter(look__in=looks_of_slug(slug)).exclude(holder=self.pk)
        if alike.exclude(holder__slug=slug).exists():  # of the same slug the unique index tells
            raise ValidationError({"slug": _lookalike()})


def _lookalike() -> ValidationError:
    return ValidationError(_("This address looks like that of another circle. Choose another."), code="taken")


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
