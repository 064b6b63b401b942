"""Row: a counter that the UPDATEs write."""

from django.db import models


class Row(models.Model):
    """A counter. The `number` of an event selects the row."""

    count = models.IntegerField(default=0)
