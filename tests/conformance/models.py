"""Mark: what a subscriber of the suite leaves, one row per effect."""

from django.db import models


class Mark(models.Model):
    """One run of a subscriber on one event. Rows are in the order of the effects."""

    subscriber = models.CharField(max_length=200, db_index=True)
    event_id = models.UUIDField()
    line = models.IntegerField(default=0)
    number = models.IntegerField(default=0)
    attempt = models.IntegerField(default=1)
    text = models.TextField(blank=True)
