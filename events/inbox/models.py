"""The tables of the inbox room: deliveries, dead letters, failed attempts and what these may quote, and what is to be
swept out of queues."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..db.primary import PrimaryModel
from ..outbox.models import StoredEvent
from .records import DeliveryQuerySet


class Delivery(PrimaryModel):
    """The inbox: the state of one event at one subscriber in one run, written in the transaction of the effect.

    `run` is 0, or the number of the replay. `records.py` has the table of states.
    """

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

    objects = DeliveryQuerySet.as_manager()  # type: ignore[misc]

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
        """The event in this log; None if it is not there (undecodable bytes)."""
        return StoredEvent.objects.filter(event_id=self.event_id).first()


class DeadLetter(Delivery):
    """A delivery that was given up and waits for an operator's decision."""

    class Meta:
        proxy = True
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")


class Attempt(PrimaryModel):
    """A failed attempt of a delivery."""

    delivery = models.ForeignKey(
        Delivery, models.CASCADE, related_name="failures", db_constraint=False, verbose_name=_("delivery")
    )
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


class AttemptSubject(PrimaryModel):
    """A thing that a failed attempt may quote: the subject of its event, or what the event concerns."""

    attempt = models.ForeignKey(Attempt, models.CASCADE, related_name="subjects", verbose_name=_("failed attempt"))
    subject = models.CharField(_("subject"), max_length=200)

    class Meta:
        verbose_name = _("subject of a failed attempt")
        verbose_name_plural = _("subjects of failed attempts")
        indexes = [models.Index("subject", name="events_attempt_subject")]

    def __str__(self) -> str:
        return f"{self.attempt_id}: {self.subject}"


class StaleEvent(PrimaryModel):
    """A redacted event whose earlier bytes may still wait in a broker's queue, or in a dead letter of refused bytes.

    The sweep (`repair/sweep.py`) takes them out, and deletes the row. at: when it was redacted.
    """

    event_id = models.UUIDField(_("event"), unique=True)
    topic = models.CharField(_("topic"), max_length=100)
    at = models.DateTimeField(_("redacted"))

    class Meta:
        verbose_name = _("stale event")
        verbose_name_plural = _("stale events")

    def __str__(self) -> str:
        return f"{self.event_id} {self.topic}"
