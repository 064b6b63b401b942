"""Partitions of the past, as a site has that is older than the test's database."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from events.db.partitions import add_partition
from events.outbox.event_id import lowest_id
from events.repair.partitions import log_and_inbox


def partition_past(*, days_ago: int, days: int = 1) -> str:
    """Give log and inbox a partition of so many days that begins so many days ago; returns the name of the log's."""
    both = log_and_inbox()
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = today - dt.timedelta(days=days_ago)
    low, high = lowest_id(begin), lowest_id(begin + dt.timedelta(days=days))
    with transaction.atomic():
        for parent in (both.log, both.inbox):
            add_partition(both.connection, parent, table=parent.strip('"'), key='"event_id"', low=low, high=high)
    return f"events_storedevent_p{begin:%Y%m%d}"
