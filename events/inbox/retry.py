"""Recording: what becomes of failed deliveries, in one transaction: the inbox row, the attempt and the retry."""

from __future__ import annotations

import datetime as dt
import traceback
from collections.abc import Sequence

import structlog
from django.db import connections, router, transaction
from dramatiq.common import compute_backoff

from ..db.dialect import DeliveryKey, database_now
from ..envelope import Envelope, UndecodableError
from ..models import Attempt, Delivery, OutboxMessage, StoredEvent
from ..outbox.log import LogLine
from ..outbox.messages import Owed
from ..subscription import PermanentFailure, RetryAfter, Subscription
from .delivery import DeliveryFailed, ExhaustedError, Failure, key_of

log = structlog.get_logger("events.delivery")

#: Why a row that names a subscriber nobody has is a dead letter.
UNKNOWN = "no subscriber has this name: if it was renamed, set its old name with name= and requeue; otherwise discard"
#: No retry can help these.
HOPELESS = (PermanentFailure, UndecodableError, ExhaustedError)


def record(failed: DeliveryFailed) -> None:
    """Write each failure down: to be tried again after a backoff, or dead. Raises whatever the database raises."""
    with transaction.atomic(using=router.db_for_write(Delivery)):
        now = database_now(connections[router.db_for_write(Delivery)])
        retries = [
            retry
            for failure in sorted(failed.failures, key=lambda failure: failure.arrival.event_id)
            if (retry := _record_one(failed.subscription, failure, now))
        ]
        OutboxMessage.objects.schedule(retries)


def bury(rows: Sequence[Owed], *, reason: str) -> None:
    """Make dead letters of rows that are owed to nobody, in the caller's transaction; they leave the outbox."""
    for row in rows:
        key = DeliveryKey(row.event_id, row.subscriber, row.run)
        Delivery.objects.fail(key, attempts=row.attempt, dead=True, reason=reason, body=row.envelope.encode())
        log.error("dead letter", event_id=str(row.event_id), subscriber=row.subscriber, error=reason)
    OutboxMessage.objects.filter(pk__in=[row.pk for row in rows]).delete()


def _record_one(subscription: Subscription, failure: Failure, now: dt.datetime) -> OutboxMessage | None:
    arrival, error = failure.arrival, failure.error
    dead = isinstance(error, HOPELESS) or failure.attempt > subscription.max_retries
    reason = _text(traceback.format_exception_only(error)).strip()
    delivery = Delivery.objects.fail(
        key_of(subscription, arrival), attempts=failure.attempt, dead=dead, reason=reason, body=arrival.wire
    )
    if delivery is None:
        return None
    Attempt.objects.create(
        delivery=delivery,
        number=failure.attempt,
        duration=failure.duration,
        error=reason[:500],
        traceback=_text(traceback.format_exception(error)),
    )
    outcome = log.error if dead else log.warning
    outcome(
        "dead letter" if dead else "delivery failed",
        event_id=str(arrival.event_id),
        subscriber=subscription.name,
        attempt=failure.attempt,
        seconds=round(failure.duration, 6),
        error=reason,
    )
    if arrival.envelope is not None:
        StoredEvent.objects.adopt([_line(arrival.envelope)])
    if dead:
        return None
    return OutboxMessage(
        event_id=arrival.event_id,
        subscriber=subscription.name,
        due=now + _backoff(subscription, failure),
        run=arrival.run,
        attempt=delivery.attempts + 1,
        priority=arrival.priority,
        claimed=False,
    )


def _text(lines: list[str]) -> str:
    """What an error says, without what PostgreSQL cannot keep."""
    return "".join(lines).replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _backoff(subscription: Subscription, failure: Failure) -> dt.timedelta:
    if isinstance(failure.error, RetryAfter):
        return dt.timedelta(seconds=failure.error.seconds)
    _, milliseconds = compute_backoff(
        failure.attempt - 1, factor=subscription.min_backoff, max_backoff=subscription.max_backoff
    )
    return dt.timedelta(milliseconds=milliseconds)


def _line(envelope: Envelope) -> LogLine:
    return LogLine(
        event_id=envelope.id,
        topic=envelope.topic,
        version=envelope.version,
        source=envelope.source,
        subject=envelope.subject,
        time=envelope.time,
        data=envelope.json(),
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        traceparent=envelope.traceparent,
    )
