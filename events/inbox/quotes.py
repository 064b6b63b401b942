"""Quotes: why an attempt failed may quote what a person wrote or is called, and goes when that is erased.

`AttemptSubject` says what a failed attempt may quote: the subject of its event, and all that the event concerns. What
stays of an error is its type.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from django.db import connections, router
from django.db.models import Q, Subquery

from ..db.dialect import database_now
from ..event import catalogue, concerned, may_be_redacted
from ..outbox.emit import require_transaction
from ..outbox.models import StoredEvent
from .message import ReceivedMessage
from .models import Attempt, AttemptSubject, Delivery

#: What stands in place of a text that may quote an erased value. The type of the error stays.
ERASED = "its text was erased with the event"
ERROR_TYPE = re.compile(r"[A-Za-z_][\w.]*(?=: |\Z)")
#: A run that fails may have read what was erased so long ago, at most.
LONGEST_RUN = dt.timedelta(hours=1)
#: Subjects, or rows, in one statement.
PER_STATEMENT = 500
#: Characters of a subject in the log.
MAX_LENGTH = 200

T = TypeVar("T", int, str)


def note_subjects(attempt: Attempt, message: ReceivedMessage) -> None:
    """Write down what a failed attempt of this message may quote."""
    subjects = {message.envelope.subject} | _concerned(message) if message.envelope is not None else set()
    AttemptSubject.objects.bulk_create(
        [AttemptSubject(attempt=attempt, subject=one) for one in sorted(subjects - {""}) if len(one) <= MAX_LENGTH]
    )


def redact_errors(*subjects: str) -> None:
    """Erase what failed attempts say, of events of these subjects and of events that concern them, in the caller's
    transaction: for a text that no event has, but that an error may quote. `redact` does it, too.

    Raises EmitOutsideTransactionError outside of a transaction.
    """
    require_transaction()
    for some in _parts(subjects):
        _erase(set(AttemptSubject.objects.filter(subject__in=some).values_list("attempt", flat=True)), ())


def erase_errors(subjects: Sequence[str]) -> None:
    """Erase the texts of all failures that may quote something of these subjects, as many as one statement takes."""
    quoting = set(AttemptSubject.objects.filter(subject__in=subjects).values_list("attempt", flat=True))
    # An attempt of the previous release has no subject written down, and what was given up, or put off, without one
    # has none: both are found by the event.
    ids = StoredEvent.objects.filter(subject__in=subjects).values("event_id")
    quoting.update(Attempt.objects.filter(delivery__event_id__in=ids, subjects=None).values_list("pk", flat=True))
    _erase(quoting, Delivery.objects.exclude(state="done").filter(event_id__in=ids).values_list("pk", flat=True))


def _erase(attempts: Iterable[int], deliveries: Iterable[int]) -> None:
    """Erase the texts of these attempts, and the reasons of their deliveries and of these."""
    failed = set(deliveries)
    for some in _parts(attempts):
        for attempt in Attempt.objects.filter(pk__in=some).order_by("pk"):
            failed.add(attempt.delivery_id)
            if not attempt.error.endswith(ERASED):
                attempt.error, attempt.traceback = without_text(attempt.error), ""
                attempt.save(update_fields=["error", "traceback"])
    for some in _parts(failed):
        reasons = Delivery.objects.filter(pk__in=some).exclude(reason="").exclude(reason__endswith=ERASED)
        for one in reasons.order_by("pk").only("reason"):
            one.reason = without_text(one.reason)
            one.save(update_fields=["reason"])


def _concerned(message: ReceivedMessage) -> set[str]:
    envelope = message.envelope
    return set() if envelope is None else concerned(envelope.topic, version=envelope.version, data=envelope.data)


def _parts(keys: Iterable[T]) -> Iterator[list[T]]:
    ordered = sorted(keys)
    return (ordered[start : start + PER_STATEMENT] for start in range(0, len(ordered), PER_STATEMENT))


class Gone(NamedTuple):
    """What was erased of some messages. events: those that are redacted, by their id. quoted: the ids of those that
    concern something which was erased lately."""

    events: Mapping[uuid.UUID, StoredEvent]
    quoted: Collection[uuid.UUID]


def lock_gone(messages: Sequence[ReceivedMessage]) -> Gone:
    """What was erased of these messages, for whoever records their failures. Waits for whoever redacts what they are
    about or concern, and lets nobody begin until the end of this transaction.

    A run that began before a thing was erased may quote it, although its own event says nothing of it.
    """
    concerned = {id(one): _concerned(one) for one in messages}
    kinds = [topic for topic in catalogue if may_be_redacted(topic)]
    # Whoever redacts locks every event of a subject, in the order of the log: the first one stands for all.
    first = {
        subject: StoredEvent.objects.filter(subject=subject, topic__in=kinds).order_by("sequence").values("pk")[:1]
        for subject in sorted(set().union(*concerned.values()))
    }
    own = {one.event_id for one in messages if one.envelope is not None and one.envelope.topic in kinds}
    chosen = Q(event_id__in=own)
    for rows in first.values():
        chosen |= Q(pk=Subquery(rows))
    locked = list(StoredEvent.objects.filter(chosen).order_by("sequence").select_for_update(no_key=True))
    now = database_now(connections[router.db_for_write(StoredEvent)])
    lately = set(
        StoredEvent.objects.filter(subject__in=first, redacted_at__gte=now - LONGEST_RUN).values_list(
            "subject", flat=True
        )
    )
    return Gone(
        events={one.event_id: one for one in locked if one.redacted_at is not None and one.event_id in own},
        quoted={one.event_id for one in messages if not lately.isdisjoint(concerned[id(one)])},
    )


def without_text(error: str) -> str:
    """An error without what it says: its type alone."""
    kind = ERROR_TYPE.match(error)
    return f"{kind[0]}: {ERASED}" if kind else ERASED
