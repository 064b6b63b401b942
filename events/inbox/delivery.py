"""Delivery: received messages → subscriber, each with exactly one effect.

1. A subscriber gets one message or a group of waiting messages, in one slot of the process's pool (`process`).
2. A group runs in one transaction: the inbox rows first, then the function, then the commit (`_run_together`).
3. If anything in it fails, the whole group is rolled back, and each message runs again alone (`_run_alone`). So a
   poison message takes no other message along.
4. A message that the broker marks as redelivered comes alone. Its attempt is counted before it runs, so a message that
   kills its worker ends as a dead letter (`begin_attempt` in `records.py`).
5. Failures are raised together as DeliveryFailedError; `retry.py` records them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from django.db import OperationalError, connections, router, transaction
from dramatiq.middleware import Interrupt, TimeLimitExceeded

from ..db.deadlocks import retry_deadlocks, sqlstate
from ..db.dialect import DeliveryKey
from ..envelope import UndecodableError
from ..event import Event
from ..logger import get_logger
from ..outbox.emit import current_event
from ..pool import get_pool
from ..subscription import Subscription
from .message import ReceivedMessage
from .models import Delivery

log = get_logger("events.delivery")

#: PostgreSQL's code of a statement that was cancelled, by its time-out or by an administrator.
CANCELLED = "57014"
#: PostgreSQL's code of a lock that was not to be had within the lock time-out.
LOCKED = "55P03"

#: Takes a time limit in milliseconds; returns a context manager that enforces it.
Guard = Callable[[int], AbstractContextManager[None]]


def unlimited(milliseconds: int) -> AbstractContextManager[None]:
    """No time limit."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Failure:
    """One message whose attempt failed; `duration` in seconds."""

    message: ReceivedMessage
    attempt: int
    error: BaseException
    duration: float


class DeliveryFailedError(Exception):
    """Some messages of a group failed; all others are done."""

    def __init__(self, subscription: Subscription, failures: Sequence[Failure]) -> None:
        super().__init__(f"{subscription.name}: {len(failures)} failed: {failures[0].error!r}")
        self.subscription = subscription
        self.failures = failures


class ExhaustedError(Exception):
    """A message used up its attempts without a recorded failure: it kills its worker."""


class StillRunningError(Exception):
    """Another run of the same message is under way: this one goes back to the broker and is tried again later."""


class TimeLimitError(Exception):
    """A subscriber, or one of its statements, ran longer than its time limit."""

    def __init__(self, subscription: Subscription) -> None:
        limit = subscription.time_limit / 1000
        super().__init__(f"longer than its time limit of {limit:g} s: give the subscriber a time_limit=, or less to do")


def process(subscription: Subscription, messages: Sequence[ReceivedMessage], *, guard: Guard = unlimited) -> None:
    """Run a subscriber on messages, in one slot of the process's pool.

    guard: enforces the time limit of each call.

    Raises DeliveryFailedError with the messages that failed; the others are done now or were done before. Raises
    StillRunningError for a redelivered message while another run of it is under way.
    """
    get_pool().run(_process, subscription, messages, guard)


def _process(subscription: Subscription, messages: Sequence[ReceivedMessage], guard: Guard) -> None:
    failures: list[Failure] = []
    if len(messages) > 1:
        started = time.monotonic()
        try:
            _run_together(subscription, messages, guard=guard)
        except BaseException as error:  # whatever it was: each message runs again alone, and that is recorded
            if isinstance(error, Interrupt) and not isinstance(error, TimeLimitExceeded):
                raise
            log.info("group rolled back", subscriber=subscription.name, events=len(messages), error=repr(error))
        else:
            _log_done(subscription, messages, time.monotonic() - started)
            return
    for message in messages:
        if failure := _run_alone(subscription, message, guard):
            failures.append(failure)
    if failures:
        raise DeliveryFailedError(subscription, failures)


def _run_alone(subscription: Subscription, message: ReceivedMessage, guard: Guard) -> Failure | None:
    key, attempt, started = key_of(subscription, message), message.attempt, time.monotonic()
    try:
        if message.redelivered:
            # The first run is not counted: the broker cannot say which messages of a group had started.
            limit = max(1, subscription.max_retries)
            counted = _begin_attempt(key, attempt=message.attempt, limit=limit)
            if counted is None:
                return None
            attempt = counted
            if (begun := counted - message.attempt) >= limit:
                raise ExhaustedError(f"started alone {begun} times without an outcome: it kills its worker")
        retry_deadlocks(lambda: _run_together(subscription, (message,), guard=guard, attempt=attempt))
    except StillRunningError:
        raise
    except BaseException as error:  # a subscriber may raise anything, even SystemExit; it is recorded
        if isinstance(error, Interrupt) and not isinstance(error, TimeLimitExceeded):
            raise
        return Failure(message, attempt, error, time.monotonic() - started)
    _log_done(subscription, (message,), time.monotonic() - started, attempt=attempt)
    return None


def _begin_attempt(key: DeliveryKey, *, attempt: int, limit: int) -> int | None:
    try:
        return Delivery.objects.begin_attempt(key, attempt=attempt, limit=limit)
    except OperationalError as error:
        if sqlstate(error) == LOCKED:
            raise StillRunningError(f"{key.event_id} at {key.subscriber}") from error
        raise


def _run_together(
    subscription: Subscription, messages: Sequence[ReceivedMessage], *, guard: Guard, attempt: int | None = None
) -> None:
    """One transaction: the inbox rows, then the function on each event whose row was not final."""
    by_key = {key_of(subscription, message): message for message in messages}
    attempts = {key: attempt or message.attempt for key, message in by_key.items()}
    if not subscription.atomic:
        _run_in_its_own_transactions(subscription, by_key, attempts, guard)
        return
    using = router.db_for_write(Delivery)
    with transaction.atomic(using=using):
        recorded = Delivery.objects.record_done(by_key, attempts=attempts, time_limit=subscription.time_limit)
        events = [_event_of(message, attempts[key]) for key, message in by_key.items() if key in recorded]
        if subscription.batch:
            if events:
                _call(subscription, events, guard)
        else:
            for event in events:
                _call(subscription, [event], guard)
        _isolate_callbacks(using)


def _run_in_its_own_transactions(
    subscription: Subscription,
    by_key: dict[DeliveryKey, ReceivedMessage],
    attempts: dict[DeliveryKey, int],
    guard: Guard,
) -> None:
    for key, message in by_key.items():
        if Delivery.objects.is_open(key):
            event = _event_of(message, attempts[key])
            with Delivery.objects.statements_limited(subscription.time_limit):
                _call(subscription, [event], guard)
            Delivery.objects.record_done([key], attempts=attempts)


def _isolate_callbacks(using: str) -> None:
    """Make each on_commit callback robust: one that fails is logged, and the callbacks of other events still run."""
    connection = connections[using]
    callbacks = [(savepoints, callback, True) for savepoints, callback, *_ in connection.run_on_commit]
    connection.run_on_commit = callbacks  # type: ignore[assignment]


def _call(subscription: Subscription, events: list[Event], guard: Guard) -> None:
    cause = events[0].meta if len(events) == 1 else None
    token, started = current_event.set(cause), time.monotonic()
    try:
        with guard(subscription.time_limit):
            subscription.call(events)
    except TimeLimitExceeded as interrupt:
        raise TimeLimitError(subscription) from interrupt
    except OperationalError as error:
        if sqlstate(error) == CANCELLED and time.monotonic() - started >= subscription.time_limit / 1000:
            raise TimeLimitError(subscription) from error
        raise
    finally:
        current_event.reset(token)


def key_of(subscription: Subscription, message: ReceivedMessage) -> DeliveryKey:
    """The inbox key of a message."""
    return DeliveryKey(message.event_id, subscription.name, message.run)


def _event_of(message: ReceivedMessage, attempt: int) -> Event:
    if message.envelope is None:
        raise UndecodableError(message.error)
    return message.envelope.event(attempt=attempt, run=message.run)


def _log_done(
    subscription: Subscription, messages: Sequence[ReceivedMessage], seconds: float, *, attempt: int = 1
) -> None:
    if not logging.getLogger("events.delivery").isEnabledFor(logging.INFO):
        return
    log.info(
        "delivered",
        subscriber=subscription.name,
        events=[str(message.event_id) for message in messages],
        attempt=max(attempt, messages[0].attempt),
        seconds=round(seconds, 6),
    )
