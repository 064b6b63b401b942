"""The verbs of the event tables, each a statement or two, for PostgreSQL and SQLite alike."""

from events.querysets.alarm import WAKE_CHANNEL, WAKE_LOCK, local_wakeup
from events.querysets.dialect import DeliveryKey, database_now
from events.querysets.inbox import DeliveryQuerySet
from events.querysets.log import LogLine, StoredEventQuerySet
from events.querysets.outbox import OutboxQuerySet, Owed
from events.querysets.processes import ProcessQuerySet

__all__ = [
    "WAKE_CHANNEL",
    "WAKE_LOCK",
    "DeliveryKey",
    "DeliveryQuerySet",
    "LogLine",
    "OutboxQuerySet",
    "Owed",
    "ProcessQuerySet",
    "StoredEventQuerySet",
    "database_now",
    "local_wakeup",
]
