"""The tables of the repair room: subscriptions, and the deliveries that may be lost."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .watchlist import StragglerQuerySet


class Subscription(models.Model):
    """A subscriber as the workers announced it; `since` is the end of the log when it was first seen.

    `bindings` has each pattern that was ever announced and not unbound since, with the end of the log at that time.
    Of the events up to `accounted`, every one has its outcome here or is among the stragglers.
    """

    name = models.CharField(_("name"), max_length=200, primary_key=True)
    queue = models.CharField(_("queue"), max_length=250)
    patterns = models.JSONField(_("topics"))
    since = models.BigIntegerField(_("since event"), default=0)
    seen_at = models.DateTimeField(_("seen"), default=timezone.now)
    bindings = models.JSONField(_("bindings"), default=dict)
    accounted = models.BigIntegerField(_("accounted up to event"), default=0, db_default=0)

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")

    def __str__(self) -> str:
        return self.name


class Straggler(models.Model):
    """A delivery without an outcome that others have overtaken: reconcile keeps an eye on it until it has one.

    `after` is the end of the log when it was last owed: once a later event is done, its own turn has passed.
    """

    event_id = models.UUIDField(_("event"))
    subscriber = models.CharField(_("subscriber"), max_length=200)
    run = models.PositiveSmallIntegerField(_("run"), default=0)
    after = models.BigIntegerField(_("after event"))
    owed_at = models.DateTimeField(_("last owed"))
    checked_at = models.DateTimeField(_("last checked"))
    healed = models.PositiveSmallIntegerField(_("times healed"), default=0)

    objects = StragglerQuerySet.as_manager()

    class Meta:
        verbose_name = _("straggler")
        verbose_name_plural = _("stragglers")
        constraints = [models.UniqueConstraint(fields=["event_id", "subscriber", "run"], name="events_straggler_once")]
        indexes = [models.Index("subscriber", "checked_at", name="events_straggler_next")]

    def __str__(self) -> str:
        return f"{self.event_id} → {self.subscriber}"
