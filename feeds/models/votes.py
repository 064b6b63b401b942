"""Vote: up or down, by one user, on one post or comment."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource
from feeds.models.comments import Comment
from feeds.models.entities import Entity
from feeds.models.posts import Post
from feeds.models.row_by_row import RowByRow


class VoteQuerySet(RowByRow["Vote"]):
    """Votes."""

    def on(self, entity_type: str, entity_id: int) -> VoteQuerySet:
        """The votes on one post or comment."""
        return self.filter(entity_type=entity_type, entity_id=entity_id)


class Vote(EventSource, models.Model):
    """A vote. A user has at most one on each post or comment."""

    class Type(models.TextChoices):
        UP = "up", _("up")
        DOWN = "down", _("down")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="votes", db_index=False, verbose_name=_("user")
    )
    entity_type = models.CharField(_("on a"), max_length=7, choices=Entity.choices)
    entity_id = models.BigIntegerField(_("number"))
    vote_type = models.CharField(_("vote"), max_length=4, choices=Type.choices)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects = VoteQuerySet.as_manager()

    class Meta:
        verbose_name = _("vote")
        verbose_name_plural = _("votes")
        constraints = [models.UniqueConstraint(fields=["user", "entity_type", "entity_id"], name="feeds_vote_once")]
        indexes = [models.Index(fields=["entity_type", "entity_id"], name="feeds_vote_entity")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.vote_type} {self.entity_type}/{self.entity_id}"

    def clean(self) -> None:
        """Raises ValidationError if the post or comment does not exist or is not visible."""
        visible: dict[str, models.QuerySet[Any]] = {
            Entity.POST: Post.objects.visible(),
            Entity.COMMENT: Comment.objects.visible(),
        }
        if self.entity_type in visible and not visible[self.entity_type].filter(pk=self.entity_id).exists():
            raise ValidationError(_("This post or comment doesn't exist."))
