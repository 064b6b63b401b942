"""Redact: erase what events say about something that is gone, wherever the database keeps it.

The values that an event class names in `redactions` are replaced in the log, in the bytes of dead letters, and with
them go the texts of failed attempts, which may quote them: those of the subject's own events, and of all events that
concern it (`AttemptSubject`). A message with the earlier bytes may be on its way: whoever
receives it is given what the log says now (`as_logged`), and the sweep takes it out of its queue (`repair/sweep.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import connections, router

from ..db.dialect import database_now
from ..event import catalogue, event_class, may_be_redacted
from ..outbox.emit import require_transaction
from ..outbox.models import StoredEvent
from .message import ReceivedMessage
from .models import Delivery, StaleEvent
from .quotes import erase_errors

#: Subjects, and events, in one statement.
PER_STATEMENT = 500


def redact(*subjects: str, changes: Mapping[str, Callable[[Any], Any]] | None = None) -> int:
    """Erase what the events of these subjects say ("post/7"), in the caller's transaction; returns how many changed.

    Of each event the fields are replaced that its class names in `redactions`, by the values that stand there. changes:
    instead, what becomes of a field's value, by the field's name; an event whose values stay the same is left alone.

    The log row is marked: a replay brings it only to subscribers with `takes_redacted`. Doing it twice is harmless.

    Raises EmitOutsideTransactionError outside of a transaction.
    """
    require_transaction()
    changed = 0
    for start in range(0, len(subjects), PER_STATEMENT):
        changed += _redact(subjects[start : start + PER_STATEMENT], changes)
    return changed


def _redact(subjects: Sequence[str], changes: Mapping[str, Callable[[Any], Any]] | None) -> int:
    now = database_now(connections[router.db_for_write(StoredEvent)])
    of_subjects = StoredEvent.objects.filter(subject__in=subjects)
    topics = [topic for topic in catalogue if may_be_redacted(topic)]
    redacted: list[StoredEvent] = []
    chosen = of_subjects.filter(topic__in=topics)
    if changes is not None:  # most of many stay as they are: those are not locked
        chosen = chosen.filter(pk__in=[event.pk for event in chosen if _new_data(event, changes) != event.data])
    # In the order of the log, as everybody locks it.
    for event in chosen.order_by("sequence").select_for_update(no_key=True):
        new = _new_data(event, changes)
        if new != event.data or (changes is None and event.redacted_at is None):
            event.data, event.redacted_at = new, now
            redacted.append(event)
    StoredEvent.objects.bulk_update(redacted, ["data", "redacted_at"], batch_size=PER_STATEMENT)
    StaleEvent.objects.bulk_create(
        [StaleEvent(event_id=event.event_id, topic=event.topic, at=now) for event in redacted],
        update_conflicts=True,
        unique_fields=["event_id"],
        update_fields=["at"],
        batch_size=PER_STATEMENT,
    )
    _erase_bytes({event.event_id: event for event in redacted})
    erase_errors(subjects if changes is None else sorted({event.subject for event in redacted}))
    return len(redacted)


def _new_data(event: StoredEvent, changes: Mapping[str, Callable[[Any], Any]] | None) -> dict[str, Any]:
    cls = event_class(event.topic, version=event.version)
    data = dict(event.data)
    for name, value in (cls.redactions if cls else {}).items():
        if name in data and (changes is None or name in changes):
            data[name] = value if changes is None else changes[name](data[name])
    return data


def _erase_bytes(events: Mapping[uuid.UUID, StoredEvent]) -> None:
    ids = list(events)
    for start in range(0, len(ids), PER_STATEMENT):
        kept = Delivery.objects.filter(event_id__in=ids[start : start + PER_STATEMENT], body__isnull=False)
        for letter in kept.order_by("pk").only("event_id"):
            letter.body = events[letter.event_id].envelope().encode()
            letter.save(update_fields=["body"])


def as_logged(messages: Sequence[ReceivedMessage]) -> Sequence[ReceivedMessage]:
    """The messages, those of redacted events as the log has them now. Asks the database only for topics of which an
    event may be redacted."""
    ids = redactable(messages)
    if not ids or not (redacted := redacted_among(ids)):
        return messages
    return [replaced(one, redacted) for one in messages]


def redactable(messages: Iterable[ReceivedMessage]) -> set[uuid.UUID]:
    """The events of these messages that may be redacted, by their topic."""
    return {one.event_id for one in messages if one.envelope is not None and may_be_redacted(one.envelope.topic)}


def redacted_among(ids: Collection[uuid.UUID]) -> dict[uuid.UUID, StoredEvent]:
    """Which of these events are redacted."""
    found = StoredEvent.objects.filter(event_id__in=ids, redacted_at__isnull=False) if ids else ()
    return {event.event_id: event for event in found}


def replaced(message: ReceivedMessage, redacted: Mapping[uuid.UUID, StoredEvent]) -> ReceivedMessage:
    """The message; if its event is redacted, as the log has it."""
    event = redacted.get(message.event_id) if message.envelope is not None else None
    return message if event is None else message._replace(envelope=event.envelope(), body=b"")
