"""What the event system remembers: the log, the outbox, the inbox, failures, subscriptions and processes."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .envelope import Envelope
from .inbox.records import DeliveryQuerySet
from .outbox.log import StoredEventQuerySet
from .outbox.messages import OutboxQuerySet
from .repair.watchlist import StragglerQuerySet
from .worker.processes import ProcessQuerySet


class StoredEvent(models.Model):
    """One line of the append-only log."""

    sequence = models.BigAutoField(_("sequence"), primary_key=True)
    event_id = models.UUIDField(_("id"), unique=True)
    topic = models.CharField(_("topic"), max_length=100)
    version = models.PositiveSmallIntegerField(_("version"), default=1)
    source = models.CharField(_("source"), max_length=200)
    subject = models.CharField(_("subject"), max_length=200, blank=True)
    time = models.DateTimeField(_("time"), default=timezone.now)
    data = models.JSONField(_("data"))
    correlation_id = models.UUIDField(_("correlation"))
    causation_id = models.UUIDField(_("cause"), null=True, blank=True)
    traceparent = models.CharField(_("trace"), max_length=55, blank=True)
    suppressed = models.CharField(_("suppressed because"), max_length=200, blank=True)
    priority = models.PositiveSmallIntegerField(_("priority"), default=0, db_default=0)

    objects = StoredEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        indexes = [
            models.Index("topic", "sequence", name="events_log_topic"),
            models.Index("subject", "sequence", name="events_log_subject"),
            models.Index("correlation_id", name="events_log_correlation"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.topic} {self.subject}"

    def envelope(self) -> Envelope:
        """The event as it travels."""
        return Envelope(
            id=self.event_id,
            topic=self.topic,
            version=self.version,
            source=self.source,
            subject=self.subject,
            time=self.time,
            data=self.data,
            correlation_id=self.correlation_id,
            causation_id=self.causation_id,
            traceparent=self.traceparent,
            sequence=self.sequence,
        )


class OutboxMessage(models.Model):
    """One delivery that is still owed: fresh (due is NULL), or waiting for its time.

    `subscriber` is blank for "everyone who subscribes". `claimed` is set by the embedded broker alone, while it works
    on the row.
    """

    event = models.ForeignKey(
        StoredEvent,
        models.DO_NOTHING,
        to_field="event_id",
        db_constraint=False,
        db_index=False,
        verbose_name=_("event"),
    )
    subscriber = models.CharField(_("subscriber"), max_length=200, blank=True, default="")
    due = models.DateTimeField(_("due"), null=True, blank=True)
    run = models.PositiveSmallIntegerField(_("run"), default=0)
    attempt = models.PositiveSmallIntegerField(_("attempt"), default=1)
    priority = models.PositiveSmallIntegerField(_("priority"), default=0)
    claimed = models.BooleanField(_("claimed"), default=False)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        verbose_name = _("outbox message")
        verbose_name_plural = _("outbox messages")
        constraints = [
            models.UniqueConstraint(
                fields=["event", "subscriber", "run"], condition=~models.Q(subscriber=""), name="events_outbox_once"
            )
        ]
        indexes = [
            models.Index(
                "subscriber",
                models.F("priority").desc(),
                "id",
                condition=models.Q(due__isnull=True, claimed=False),
                name="events_outbox_fresh",
            ),
            models.Index("due", "id", condition=models.Q(due__isnull=False, claimed=False), name="events_outbox_due"),
            models.Index("id", condition=models.Q(claimed=True), name="events_outbox_claimed"),
            models.Index("event", condition=models.Q(subscriber="", due__isnull=False), name="events_outbox_delayed"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} → {self.subscriber or '*'}"


class Delivery(models.Model):
    """The inbox: what became of one event at one subscriber in one run, written in the transaction of the effect."""

    class State(models.TextChoices):
        DONE = "done", _("done")
        RETRYING = "retrying", _("retrying")
        DEAD = "dead", _("dead")
        DISCARDED = "discarded", _("discarded")

    event_id = models.UUIDField(_("event"))
    subscriber = models.CharField(_("subscriber"), max_length=200)
    run = models.PositiveSmallIntegerField(_("run"), default=0)
    state = models.CharField(_("state"), max_length=9, choices=State.choices)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=1)
    at = models.DateTimeField(_("at"), default=timezone.now)
    reason = models.CharField(_("reason"), max_length=500, blank=True, default="")
    body = models.BinaryField(_("bytes"), null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [models.UniqueConstraint(fields=["event_id", "subscriber", "run"], name="events_delivery_once")]
        indexes = [
            models.Index("state", "subscriber", "id", condition=~models.Q(state="done"), name="events_delivery_open"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} → {self.subscriber}: {self.state}"

    @property
    def stored_event(self) -> StoredEvent | None:
        """The event in our log, if it is one of ours."""
        return StoredEvent.objects.filter(event_id=self.event_id).first()


class DeadLetter(Delivery):
    """A delivery that was given up and waits for a person."""

    class Meta:
        proxy = True
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")


class Attempt(models.Model):
    """One failed run of a delivery."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="failures", verbose_name=_("delivery"))
    number = models.PositiveSmallIntegerField(_("number"))
    at = models.DateTimeField(_("at"), default=timezone.now)
    duration = models.FloatField(_("seconds"), default=0.0)
    error = models.CharField(_("error"), max_length=500)
    traceback = models.TextField(_("traceback"), blank=True)

    class Meta:
        verbose_name = _("failed attempt")
        verbose_name_plural = _("failed attempts")

    def __str__(self) -> str:
        return f"{self.number}: {self.error}"


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


class Process(models.Model):
    """The heartbeat of a worker or relay."""

    kind = models.CharField(_("kind"), max_length=20)
    host = models.CharField(_("host"), max_length=200)
    pid = models.PositiveIntegerField(_("pid"))
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    beat_at = models.DateTimeField(_("last beat"), default=timezone.now)
    figures = models.JSONField(_("figures"), default=dict)

    objects = ProcessQuerySet.as_manager()

    class Meta:
        verbose_name = _("process")
        verbose_name_plural = _("processes")
        constraints = [models.UniqueConstraint(fields=["kind", "host", "pid"], name="events_process_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pid}@{self.host}"
