"""The tables of the outbox room: the log of events, from where on it is kept, and the messages still to be sent."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..db.primary import PrimaryModel
from ..envelope import Envelope
from .floor import LogFloorQuerySet
from .log import StoredEventQuerySet
from .messages import OutboxQuerySet


class StoredEvent(PrimaryModel):
    """An event in the append-only log."""

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
    #: Why nobody gets it; or, with the mark of `only_for`, who alone does.
    suppressed = models.CharField(_("suppressed because"), max_length=200, blank=True)
    priority = models.PositiveSmallIntegerField(_("priority"), default=0, db_default=0)
    #: When values of its data were replaced, because what they said was erased.
    redacted_at = models.DateTimeField(_("redacted"), null=True, blank=True)

    objects = StoredEventQuerySet.as_manager()  # type: ignore[misc]

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
        """The event in its wire format."""
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


class LogFloor(PrimaryModel):
    """From where on the events of a topic are kept: those before may have been pruned.

    sequence, event_id, time: the lowest that are kept for certain. An event below that is in the log was held up, and
    counts as any other.
    """

    topic = models.CharField(_("topic"), max_length=100, primary_key=True)
    sequence = models.BigIntegerField(_("kept from number"))
    event_id = models.UUIDField(_("kept from id"))
    time = models.DateTimeField(_("kept from time"))

    objects = LogFloorQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        verbose_name = _("floor of the log")
        verbose_name_plural = _("floors of the log")

    def __str__(self) -> str:
        return f"{self.topic}: {self.sequence}"


class OutboxMessage(PrimaryModel):
    """A delivery that is still to be sent: new (`due` is NULL), or waiting for its time.

    `subscriber` is blank for "every subscriber of the topic". Only the embedded broker sets `claimed`, while the row is
    handed out.
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
    #: Characters of the event's data, for passes that are bounded in bytes; 0: not known.
    size = models.PositiveIntegerField(_("size"), default=0, db_default=0)

    objects = OutboxQuerySet.as_manager()  # type: ignore[misc]

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
