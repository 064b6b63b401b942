"""Partitions of the past, as a site has that is older than the test's database."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from events.db.partitions import add_partition, partitions_of_time
from events.outbox.event_id import lowest_id, made_at
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


def drop_past() -> None:
    """Drop the partitions of the past with their rows: later tests make their own."""
    both = log_and_inbox()
    now = dt.datetime.now(dt.UTC)
    with both.connection.cursor() as cursor:
        for parent in (both.log, both.inbox):
            for one in partitions_of_time(both.connection, parent):
                if one.high and made_at(one.high) <= now:
                    cursor.execute(f"DROP TABLE {one.name}")
