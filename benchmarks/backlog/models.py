"""The rows that the effects count in."""

from django.db import models


class Row(models.Model):
    """A counter; `number` of an event names the row it counts in."""

    count = models.IntegerField(default=0)
