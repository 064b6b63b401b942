"""Follow: a user who wants another user's posts in the feed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource
from feeds.models.row_by_row import RowByRow


class Follow(EventSource, models.Model):
    """`follower` follows `followee`. bell: whether to notify of each new post; None is the default rule."""

    follower = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="follows", db_index=False, verbose_name=_("follower")
    )
    followee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="followers", db_index=False, verbose_name=_("followed")
    )
    bell = models.BooleanField(_("bell"), null=True, blank=True, help_text=_("Unknown: the default rule."))
    created_at = models.DateTimeField(_("since"), default=timezone.now, editable=False)

    objects = RowByRow["Follow"].as_manager()

    class Meta:
        verbose_name = _("follow")
        verbose_name_plural = _("follows")
        constraints = [
            models.UniqueConstraint(fields=["follower", "followee"], name="feeds_follow_once"),
            models.CheckConstraint(
                condition=~models.Q(follower=models.F("followee")),
                name="feeds_follow_not_oneself",
                violation_error_message=_("You cannot follow yourself."),
            ),
        ]
        indexes = [models.Index(fields=["followee", "follower"], name="feeds_follow_followers")]

    def __str__(self) -> str:
        return f"{self.follower_id} → {self.followee_id}"
