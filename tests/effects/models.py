"""Effects that can be counted, and a row whose changes are events."""

from django.db import models

from events.bus import EventSource


class Effect(models.Model):
    """One run of a subscriber on one event."""

    subscriber = models.CharField(max_length=50, db_index=True)
    number = models.IntegerField()
    attempt = models.IntegerField(default=1)


class Account(EventSource, models.Model):
    """A row that emits when its balance changes."""

    balance = models.IntegerField(default=0)


class Stay(models.Model):
    """How long one run of a subscriber stood before the gate, by the database's clock."""

    number = models.IntegerField()
    began = models.DateTimeField()
    ended = models.DateTimeField()
