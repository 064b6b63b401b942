"""Counts: of votes and comments; their history; and pending counts, which are not in the counts yet."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from feeds.models.entities import Entity


class CurrentTransaction(models.Func):
    """The number of the current transaction on PostgreSQL; 0 on SQLite, which has one writer at a time."""

    template = "0"
    output_field = models.BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return self.as_sql(compiler, connection, template="pg_current_xact_id()::text::bigint")


class EntityCounts(models.Model):
    """Votes, comments and ranks of one post or comment. Only the subscribers that count and `recount` write it."""

    entity_type = models.CharField(_("of a"), max_length=7, choices=Entity.choices)
    entity_id = models.BigIntegerField(_("number"))
    upvotes = models.IntegerField(_("upvotes"), default=0)
    downvotes = models.IntegerField(_("downvotes"), default=0)
    score = models.IntegerField(_("score"), default=0)
    comments = models.IntegerField(_("comments"), default=0)
    hot = models.FloatField(_("hot"), default=0.0)
    controversy = models.FloatField(_("controversy"), default=0.0)

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
            models.Index(
                models.F("controversy").desc(),
                models.F("entity_id").desc(),
                condition=models.Q(entity_type="post"),
                name="entity_counts_controversy",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entity_type}/{self.entity_id}: +{self.upvotes} −{self.downvotes}"


class EarlierCounts(models.Model):
    """Count history: votes and ranks of one post or comment before a change, written with the change, kept for a day.

    With it the later pages of a list keep the order of the first page (`feeds.lists.snapshot`). The ids of the rows of
    one post or comment are in the order of its changes. Empty the table in a copy of the database on another server:
    there the transactions have other numbers.
    """

    entity_type = models.CharField(_("of a"), max_length=7, choices=Entity.choices)
    entity_id = models.BigIntegerField(_("number"))
    upvotes = models.IntegerField(_("upvotes"))
    downvotes = models.IntegerField(_("downvotes"))
    score = models.IntegerField(_("score"))
    hot = models.FloatField(_("hot"))
    controversy = models.FloatField(_("controversy"))
    transaction = models.BigIntegerField(_("transaction"), db_default=CurrentTransaction())
    changed_at = models.DateTimeField(_("changed"), db_default=Now())

    class Meta:
        verbose_name = _("earlier counts")
        verbose_name_plural = _("earlier counts")
        indexes = [
            models.Index(fields=["transaction"], name="feeds_earlier_transaction"),
            models.Index(fields=["entity_type", "entity_id", "transaction"], name="feeds_earlier_entity"),
        ]

    def __str__(self) -> str:
        return f"{self.entity_type}/{self.entity_id}: +{self.upvotes} −{self.downvotes}"


class Uncounted(models.Model):
    """Pending counts: what one event will add to the counts. Written with the event, deleted when it is counted.

    The pages of `user`, who acted, add these to the counts: that user never sees that counting comes later.
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
        indexes = [models.Index(fields=["entity_type", "entity_id", "user"], name="feeds_uncounted_entity")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.entity_type}/{self.entity_id}"
