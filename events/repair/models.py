"""The tables of the repair room: subscriptions, and the deliveries that may be lost."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..db.primary import PrimaryModel
from .watchlist import StragglerQuerySet


class Subscription(PrimaryModel):
    """A subscription as the workers announced it. (What the code declares is `events.subscription.Subscription`.)

    since: the end of the log when it was first announced. bindings: each pattern that was announced and not unbound
    since, with the end of the log at that time. accounted: each event up to this sequence number has its outcome, or is
    on the watchlist. paused_at, paused_by, pause_reason, concurrency: what an operator says of it (`controls.py`).
    """

    name = models.CharField(_("name"), max_length=200, primary_key=True)
    queue = models.CharField(_("queue"), max_length=250)
    patterns = models.JSONField(_("topics"))
    since = models.BigIntegerField(_("since event"), default=0)
    seen_at = models.DateTimeField(_("seen"), default=timezone.now)
    bindings = models.JSONField(_("bindings"), default=dict)
    accounted = models.BigIntegerField(_("accounted up to event"), default=0, db_default=0)
    paused_at = models.DateTimeField(_("paused"), null=True, blank=True)
    paused_by = models.CharField(_("paused by"), max_length=200, blank=True, default="", db_default="")
    pause_reason = models.CharField(_("why paused"), max_length=500, blank=True, default="", db_default="")
    concurrency = models.PositiveSmallIntegerField(_("concurrency"), null=True, blank=True)

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")

    def __str__(self) -> str:
        return self.name


class Straggler(PrimaryModel):
    """A row of the watchlist: a delivery without an outcome whose turn has passed. Reconcile watches it until it has
    one.

    owed_since: from when on it is owed: since its event was emitted or due, a dead letter was requeued, or a replay was
    asked for. owed_at: when it was last in the outbox. after: the end of the log at that time; once a later event is
    done, its turn has passed. healed: how often it was written to the outbox again.
    """

    event_id = models.UUIDField(_("event"))
    subscriber = models.CharField(_("subscriber"), max_length=200)
    run = models.PositiveSmallIntegerField(_("run"), default=0)
    after = models.BigIntegerField(_("after event"))
    owed_at = models.DateTimeField(_("last owed"))
    owed_since = models.DateTimeField(_("owed since"), null=True)
    checked_at = models.DateTimeField(_("last checked"))
    healed = models.PositiveSmallIntegerField(_("times healed"), default=0)

    objects = StragglerQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        verbose_name = _("straggler")
        verbose_name_plural = _("stragglers")
        constraints = [models.UniqueConstraint(fields=["event_id", "subscriber", "run"], name="events_straggler_once")]
        indexes = [models.Index("subscriber", "checked_at", name="events_straggler_next")]

    def __str__(self) -> str:
        return f"{self.event_id} → {self.subscriber}"
