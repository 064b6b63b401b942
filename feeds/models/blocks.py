"""Block and Mute: the users that a user does not want to see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource

if TYPE_CHECKING:
    from feeds.models.users import User


class BlockQuerySet(models.QuerySet["Block"]):
    """Blocks."""

    def between(self, user: User, other_ids: Iterable[int]) -> BlockQuerySet:
        """Those of the user and one of these others, in either direction."""
        return self.filter(models.Q(user=user, target__in=other_ids) | models.Q(user__in=other_ids, target=user))


class Block(EventSource, models.Model):
    """`user` refuses comments, votes and follows of `target`. Neither sees the posts and comments of the other."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="blocks", db_index=False, verbose_name=_("user")
    )
    target = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="blocked_by", verbose_name=_("blocked")
    )
    created_at = models.DateTimeField(_("since"), default=timezone.now, editable=False)

    objects = BlockQuerySet.as_manager()

    class Meta:
        verbose_name = _("block")
        verbose_name_plural = _("blocks")
        constraints = [models.UniqueConstraint(fields=["user", "target"], name="feeds_block_once")]

    def __str__(self) -> str:
        return f"{self.user_id} ⊘ {self.target_id}"


class Mute(EventSource, models.Model):
    """`user` does not see posts and comments of `target`. Nothing changes for `target`, who does not learn of it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="mutes", db_index=False, verbose_name=_("user")
    )
    target = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="muted_by", verbose_name=_("muted")
    )
    created_at = models.DateTimeField(_("since"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("mute")
        verbose_name_plural = _("mutes")
        constraints = [models.UniqueConstraint(fields=["user", "target"], name="feeds_mute_once")]

    def __str__(self) -> str:
        return f"{self.user_id} ∅ {self.target_id}"
