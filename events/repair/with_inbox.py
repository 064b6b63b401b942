"""With inbox: deletes events together with their deliveries, and deliveries together with their failed attempts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..inbox.models import Attempt, AttemptSubject, Delivery
from ..outbox.models import StoredEvent
from .models import Straggler

#: Ids in one statement.
IDS_PER_STATEMENT = 500


def delete_with_inbox(events: Sequence[StoredEvent]) -> None:
    """Delete events and all that belongs to them, in the caller's transaction."""
    ids = [event.event_id for event in events]
    delete_deliveries(list(Delivery.objects.filter(event_id__in=ids).order_by("pk").values_list("pk", flat=True)))
    _delete_rows(Straggler.objects.filter(event_id__in=ids))
    _delete_rows(StoredEvent.objects.filter(pk__in=[event.pk for event in events]))


def delete_deliveries(keys: Sequence[int]) -> None:
    """Delete rows of the inbox with their failed attempts, in the caller's transaction."""
    for start in range(0, len(keys), IDS_PER_STATEMENT):
        part = keys[start : start + IDS_PER_STATEMENT]
        delete_attempts(list(Attempt.objects.filter(delivery_id__in=part).values_list("pk", flat=True)))
        _delete_rows(Delivery.objects.filter(pk__in=part))


def delete_attempts(keys: Sequence[int]) -> None:
    """Delete failed attempts with what they may quote, in the caller's transaction."""
    if keys:
        _delete_rows(AttemptSubject.objects.filter(attempt_id__in=keys))
        _delete_rows(Attempt.objects.filter(pk__in=keys))


def _delete_rows(rows: Any) -> None:
    """One DELETE: `delete()` would read the rows and what refers to them first."""
    rows._raw_delete(rows.db)
