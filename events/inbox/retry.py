"""Retry: a failed delivery is tried again after a backoff, or becomes a dead letter.

`RetryOrDeadLetter` is the worker's middleware; `record_failures` and `dead_letter` write, each in one transaction: the
inbox row, the failed attempt and the outbox row of the retry.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import DataError, Error, IntegrityError, connections, router, transaction
from dramatiq.broker import Broker, MessageProxy
from dramatiq.common import compute_backoff
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker

from ..db.commit import committed
from ..db.dialect import DeliveryKey, database_now
from ..db.discard import discard
from ..envelope import Envelope, UndecodableError
from ..errors import summary, with_traceback
from ..logger import get_logger
from ..outbox.log import LogLine
from ..outbox.messages import OutboxRow
from ..outbox.models import OutboxMessage, StoredEvent
from ..subscription import PermanentFailure, RetryAfter, Subscription
from .counted import DEAD, POSTPONED, RETRY, SKIPPED, count_outcomes
from .delivery import DeliveryFailedError, ExhaustedError, Failure, NotStartedError, StillRunningError, key_of
from .hold import GivenBackError
from .message import ReceivedMessage
from .models import Attempt, Delivery
from .postpone import postpone, waits_for_newer_code
from .quotes import Gone, lock_gone, note_subjects, without_text
from .redact import replaced

log = get_logger("events.delivery")

#: The reason of a dead letter whose subscriber does not exist.
UNKNOWN_SUBSCRIBER = (
    "no subscriber has this name: if it was renamed, set its old name with name= and requeue; otherwise discard"
)
#: The reason of a dead letter whose event is lost.
NO_EVENT = (
    "its event is not in the log: the outbox was restored or loaded without it. If the event comes back, requeue; "
    "otherwise discard"
)
#: Errors that no retry can mend.
NO_RETRY = (PermanentFailure, UndecodableError, ExhaustedError)
#: Milliseconds before a failure is recorded again: the first pause, the longest pause.
RECORD_BACKOFF = (100, 15_000)


class RetryOrDeadLetter(Middleware):
    """Records failed deliveries, and fails closed: the message stays marked as failed until the record is committed, so
    that a failed record gives the message back to the broker instead of losing it.

    While the database is down the message is held and the record is tried again. Giving it back would send it round
    and round, and a quorum queue drops messages that were delivered too often.
    """

    def __init__(self) -> None:
        #: Set while the worker ends.
        self.ending = threading.Event()

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self.ending.clear()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self.ending.set()

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        if exception is None or isinstance(exception, NotStartedError):
            return
        message.fail()
        if isinstance(exception, DeliveryFailedError):
            message.failed = not self._recorded(exception)
        elif isinstance(exception, StillRunningError):
            log.info("given back while another run goes on", queue=message.queue_name, delivery=str(exception))
        elif isinstance(exception, GivenBackError):
            log.warning("given back, the database is out", queue=message.queue_name, error=str(exception))
        else:
            log.error("delivery without outcome, given back", queue=message.queue_name, error=summary(exception))

    def _recorded(self, failed: DeliveryFailedError) -> bool:
        """Whether the failures were recorded before the worker ends. Raises an error that waiting cannot mend."""
        tries = 0
        while True:
            try:
                record_failures(failed)
                return True
            except (DataError, IntegrityError):
                raise
            except Error as error:
                tries, pause = compute_backoff(tries, factor=RECORD_BACKOFF[0], max_backoff=RECORD_BACKOFF[1])
                log.warning(
                    "failure not recorded yet",
                    subscriber=failed.subscription.name,
                    error=summary(error),
                    again_in=pause / 1000,
                )
                discard(router.db_for_write(Delivery))
                if self.ending.wait(pause / 1000):
                    return False


def record_failures(failed: DeliveryFailedError) -> None:
    """Record each failure, in one transaction: a retry after a backoff, or a dead letter. Raises whatever the database
    raises."""
    outcomes: list[str] = []
    with committed(using=router.db_for_write(Delivery)):
        now = database_now(connections[router.db_for_write(Delivery)])
        # First: whoever redacts locks the log before the inbox, too.
        gone = lock_gone([failure.message for failure in failed.failures])
        retries = [
            retry
            for failure in sorted(failed.failures, key=lambda failure: failure.message.event_id)
            if (retry := _record_failure(failed.subscription, failure, now, gone, outcomes))
        ]
        OutboxMessage.objects.schedule(retries)
    count_outcomes(failed.subscription.name, outcomes)


def dead_letter(rows: Sequence[OutboxRow], *, reason: str) -> None:
    """Turn outbox rows that no subscriber can take into dead letters, in the caller's transaction."""
    for row in rows:
        key = DeliveryKey(row.event_id, row.subscriber, row.run)
        Delivery.objects.record_failure(key, attempts=row.attempt, dead=True, reason=reason, body=row.envelope.encode())
        log.error(
            "dead letter",
            event_id=str(row.event_id),
            run=row.run,
            topic=row.envelope.topic,
            correlation_id=str(row.envelope.correlation_id),
            subscriber=row.subscriber,
            attempt=row.attempt,
            error=reason,
        )
        transaction.on_commit(
            partial(count_outcomes, row.subscriber, [DEAD]), using=router.db_for_write(OutboxMessage), robust=True
        )
    OutboxMessage.objects.filter(pk__in=[row.pk for row in rows]).delete()


def bury(rows: Sequence[OutboxMessage]) -> None:
    """Remove outbox rows whose event is not in the log, in the caller's transaction. One for a subscriber becomes a
    dead letter; of one for every subscriber nobody knows whom it was for."""
    for row in rows:
        if row.subscriber:
            key = DeliveryKey(row.event_id, row.subscriber, row.run)
            Delivery.objects.record_failure(key, attempts=row.attempt, dead=True, reason=NO_EVENT, body=b"")
        log.error(
            "outbox row without an event: " + ("dead letter" if row.subscriber else "deleted"),
            event_id=str(row.event_id),
            subscriber=row.subscriber,
            row=row.pk,
        )
    OutboxMessage.objects.filter(pk__in=[row.pk for row in rows]).delete()


def _record_failure(
    subscription: Subscription, failure: Failure, now: dt.datetime, gone: Gone, outcomes: list[str]
) -> OutboxMessage | None:
    """Record one failure, and note its outcome; returns the outbox row of its retry, or None without a retry."""
    message, error = replaced(failure.message, gone.events), failure.error
    newer = waits_for_newer_code(error, message)
    if newer and (row := _postponed(subscription, message, error, now)):
        outcomes.append(POSTPONED)
        return row
    dead = newer or isinstance(error, NO_RETRY) or failure.attempt > subscription.max_retries
    reason, trace = summary(error), with_traceback(error)
    if message.event_id in gone.events or message.event_id in gone.quoted:
        reason, trace = without_text(reason), ""
    delivery = Delivery.objects.record_failure(
        key_of(subscription, message), attempts=failure.attempt, dead=dead, reason=reason, body=message.encoded
    )
    outcomes.append(SKIPPED if delivery is None else DEAD if dead else RETRY)
    if delivery is None:
        return None
    attempt = Attempt.objects.create(
        delivery=delivery,
        number=failure.attempt,
        duration=failure.duration,
        error=reason,
        traceback=trace,
    )
    note_subjects(attempt, message)
    write = log.error if dead else log.warning
    told: dict[str, Any] = {"exception": trace} if trace else {}
    write(
        "dead letter" if dead else "delivery failed",
        **message.facts,
        subscriber=subscription.name,
        attempt=failure.attempt,
        seconds=round(failure.duration, 6),
        error=reason,
        **told,
    )
    if message.envelope is not None:
        StoredEvent.objects.import_foreign([_line(message.envelope)])
    if dead:
        return None
    return OutboxMessage(
        event_id=message.event_id,
        subscriber=subscription.name,
        due=now + _backoff(subscription, failure),
        run=message.run,
        attempt=delivery.attempts + 1,
        priority=message.priority,
        claimed=False,
    )


def _postponed(
    subscription: Subscription, message: ReceivedMessage, error: BaseException, now: dt.datetime
) -> OutboxMessage | None:
    row = postpone(key_of(subscription, message), message, reason=str(error), now=now)
    if row is not None and message.envelope is not None:
        StoredEvent.objects.import_foreign([_line(message.envelope)])
        log.warning("waits for newer code", **message.facts, subscriber=subscription.name, reason=str(error))
    return row


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
