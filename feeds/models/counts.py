"""Counts: what a post or comment has got so far, and what the counts do not hold yet."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from feeds.models.entities import Entity


class EntityCounts(models.Model):
    """Votes and comments of one post or comment; written only by the subscribers that count, and by `recount`."""

    entity_type = models.CharField(_("of a"), max_length=7, choices=Entity.choices)
    entity_id = models.BigIntegerField(_("number"))
    upvotes = models.IntegerField(_("upvotes"), default=0)
    downvotes = models.IntegerField(_("downvotes"), default=0)
    score = models.IntegerField(_("score"), default=0)
    comments = models.IntegerField(_("comments"), default=0)
    hot = models.FloatField(_("hot"), default=0.0)
    # For those who read on in a ranked list: what was shown to them higher up is not to come again.
    fell_at = models.DateTimeField(_("score last fell"), null=True)
    score_before = models.IntegerField(_("score before"), null=True)
    hot_before = models.FloatField(_("hot before"), null=True)

    class Meta:
        db_table = "entity_counts"
        verbose_name = _("counts")
        verbose_name_plural = _("counts")
        constraints = [models.UniqueConstraint(fields=["entity_type", "entity_id"], name="entity_counts_once")]
        indexes = [
            models.Index(
                models.F("hot").desc(),
                models.F("entity_id").desc(),
                condition=models.Q(entity_type="post"),
                name="entity_counts_hot",
            ),
            models.Index(
                models.F("score").desc(),
                models.F("entity_id").desc(),
                condition=models.Q(entity_type="post"),
                name="entity_counts_score",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entity_type}/{self.entity_id}: +{self.upvotes} −{self.downvotes}"


class Uncounted(models.Model):
    """What a user did that the counts do not hold yet: written with the event, deleted with the count.

    The user's own view adds these to the counts, so that the one who acts never sees that counting comes later.
    """

    event_id = models.UUIDField(_("event"), primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False, verbose_name=_("user")
    )
    entity_type = models.CharField(_("of a"), max_length=7, choices=Entity.choices)
    entity_id = models.BigIntegerField(_("number"))
    upvotes = models.SmallIntegerField(_("upvotes"), default=0)
    downvotes = models.SmallIntegerField(_("downvotes"), default=0)
    comments = models.SmallIntegerField(_("comments"), default=0)

    class Meta:
        verbose_name = _("uncounted action")
        verbose_name_plural = _("uncounted actions")
        indexes = [models.Index(fields=["user", "entity_type", "entity_id"], name="feeds_uncounted_own")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.entity_type}/{self.entity_id}"
