"""Delivery: received messages → subscriber, each with exactly one effect.

1. A subscriber gets one message or a group of waiting messages, in one slot of the process's pool (`process`).
2. A group runs in one transaction: the inbox rows, the function, the commit (`_run_together`). A slow group is cut into
   parts (`pace.py`); messages for which no thread is left go back without an attempt (`Share`).
3. If anything in it fails or it is not committed, all is rolled back, and each message runs again alone
   (`_run_alone`). So a poison message takes no other message along.
4. A message that the broker marks as redelivered comes alone. Its attempt is counted before it runs, so a message that
   kills its worker ends as a dead letter (`begin_attempt` in `records.py`).
5. Failures are raised as DeliveryFailedError; `retry.py` records them. In an outage messages are held (`hold.py`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from django.db import Error, OperationalError, router
from dramatiq.middleware import Interrupt, TimeLimitExceeded

from .. import tracing
from ..calling import Guard, unlimited
from ..db.cleaning import clean_sessions
from ..db.commit import committed, none_left_open
from ..db.deadlocks import CANCELLED, LOCKED, is_deadlock, retry_deadlocks, sqlstate
from ..db.dialect import DeliveryKey
from ..envelope import NewerVersionError, UndecodableError
from ..errors import summary
from ..event import Event
from ..logger import get_logger
from ..outbox.continuation import delivering
from ..outbox.emit import current_event
from ..pace import OverBudgetError, Stopwatch
from ..pool import get_pool
from ..subscription import PermanentFailure, RetryAfter, Subscription
from .callbacks import isolate
from .counted import count_done
from .hold import Hold
from .message import ReceivedMessage, facts_of
from .models import Delivery
from .proof import proven
from .pruned import is_open, record_unless_pruned
from .seal import DeliverySeal
from .total import NoPlaceError, own_place, take_place

log = get_logger("events.delivery")


@dataclass(frozen=True, slots=True)
class Failure:
    """One message whose attempt failed; `duration` in seconds."""

    message: ReceivedMessage
    attempt: int
    error: BaseException
    duration: float


class Share(Protocol):
    """Whether a subscriber may occupy a thread, and what it is told of the runs."""

    def may_start(self) -> bool:
        """Whether messages that were handed out may start."""

    def may_go_on(self, seconds: float) -> bool:
        """Whether a thread that works on a group since so many seconds may go on with the rest of it."""

    def succeeded(self) -> None:
        """A message or a group is done."""

    def failed(self) -> None:
        """A message failed, and the subscriber may be the cause."""

    def has_no_place(self) -> None:
        """The subscriber runs as often as it may in all processes."""


class WholeShare:
    """The share of a subscriber that may always go on."""

    def may_start(self) -> bool:
        return True

    def may_go_on(self, seconds: float) -> bool:
        return True

    def succeeded(self) -> None:
        pass

    def failed(self) -> None:
        pass

    def has_no_place(self) -> None:
        pass


#: For whoever delivers without a worker.
WHOLE = WholeShare()


class NotStartedError(Exception):
    """None of these messages failed, and some were not started: they go back without an attempt."""

    def __init__(self, subscription: Subscription, unstarted: Sequence[ReceivedMessage]) -> None:
        super().__init__(f"{subscription.name}: {len(unstarted)} were not started")
        self.unstarted = unstarted


class DeliveryFailedError(Exception):
    """Some messages of a group failed; those that are `unstarted` go back without an attempt; all others are done."""

    def __init__(
        self, subscription: Subscription, failures: Sequence[Failure], *, unstarted: Sequence[ReceivedMessage] = ()
    ) -> None:
        super().__init__(f"{subscription.name}: {len(failures)} failed: {summary(failures[0].error)}")
        self.subscription = subscription
        self.failures = failures
        self.unstarted = unstarted


class ExhaustedError(Exception):
    """A message used up its attempts without a recorded failure: it kills its worker."""


#: Errors that say nothing about whether the subscriber works.
NO_FAULT = (PermanentFailure, RetryAfter, UndecodableError, NewerVersionError, ExhaustedError)


class StillRunningError(Exception):
    """Another run of the same message is under way: this one goes back to the broker and is tried again later."""


class TimeLimitError(Exception):
    """A subscriber, or one of its statements, ran longer than its time limit."""

    def __init__(self, subscription: Subscription) -> None:
        limit = subscription.time_limit / 1000
        super().__init__(f"longer than its time limit of {limit:g} s: give the subscriber a time_limit=, or less to do")


def process(
    subscription: Subscription,
    messages: Sequence[ReceivedMessage],
    *,
    guard: Guard = unlimited,
    ending: threading.Event | None = None,
    share: Share = WHOLE,
) -> None:
    """Run a subscriber on messages, in one slot of the process's pool.

    guard: enforces the time limit of each call. ending: is set when the worker ends. share: says whether the subscriber
    may go on.

    Raises DeliveryFailedError with the messages that failed, and NotStartedError if none failed and some were not
    started; the others are done now or were done before. Raises StillRunningError for a redelivered message while
    another run of it is under way, and GivenBackError if the worker ends while the database is out.
    """
    get_pool().run(_process, subscription, messages, guard, ending or threading.Event(), share)


def _process(
    subscription: Subscription,
    messages: Sequence[ReceivedMessage],
    guard: Guard,
    ending: threading.Event,
    share: Share,
) -> None:
    if not share.may_start():
        raise NotStartedError(subscription, messages)
    started = time.monotonic()
    failures: list[Failure] = []
    waiting = _proven(subscription, messages, ending)
    alone = 0  # so many of the next ones, each in a transaction of its own
    while waiting and (len(waiting) == len(messages) or share.may_go_on(time.monotonic() - started)):
        size = len(waiting) if subscription.batch else subscription.pace.fits(len(waiting))
        if size > 1 and not alone:
            try:
                done = _is_group_done(subscription, waiting[:size], guard, ending)
            except OverBudgetError as error:
                log.info("group cut into parts", subscriber=subscription.name, count=size, reason=str(error))
                continue
            except NoPlaceError:
                share.has_no_place()
                break
            if done:
                share.succeeded()
                del waiting[:size]
            else:
                alone = size
            continue
        try:
            failure = _run_alone(subscription, waiting[0], guard, ending)
        except NoPlaceError:
            share.has_no_place()
            break
        if failure is None:
            share.succeeded()
        else:
            failures.append(failure)
            if not isinstance(failure.error, NO_FAULT):
                share.failed()
        alone = max(0, alone - 1)
        del waiting[0]
    unstarted = messages[len(messages) - len(waiting) :]
    if failures:
        raise DeliveryFailedError(subscription, failures, unstarted=unstarted)
    if unstarted:
        raise NotStartedError(subscription, unstarted)


def _proven(
    subscription: Subscription, messages: Sequence[ReceivedMessage], ending: threading.Event
) -> list[ReceivedMessage]:
    hold = Hold(subscription, ending)
    while True:
        try:
            return list(proven(subscription, messages))
        except Error as error:
            if not hold.is_over(error):
                raise


def _is_group_done(
    subscription: Subscription, messages: Sequence[ReceivedMessage], guard: Guard, ending: threading.Event
) -> bool:
    """Run a group in one transaction; False if that failed. Raises OverBudgetError if it takes too long for one."""
    started = time.monotonic()
    try:
        tracing.process(_run_together)(subscription, messages, guard=guard)
    except (OverBudgetError, NoPlaceError):
        raise
    except BaseException as error:  # whatever it was: each message runs again alone, and that is recorded
        if _is_interrupt(error):
            raise
        log.info("group rolled back", subscriber=subscription.name, **facts_of(messages), error=summary(error))
        if is_deadlock(error):
            subscription.pace.deadlocked()
        Hold(subscription, ending).is_over(error)
        return False
    _log_done(subscription, messages, time.monotonic() - started)
    return True


def _run_alone(
    subscription: Subscription, message: ReceivedMessage, guard: Guard, ending: threading.Event
) -> Failure | None:
    if not message.redelivered:
        return _run_until_its_outcome(subscription, message, guard, ending)
    # Its attempt is counted in a transaction of its own: no place, no attempt.
    with own_place(subscription):
        return _run_until_its_outcome(subscription, message, guard, ending)


def _run_until_its_outcome(
    subscription: Subscription, message: ReceivedMessage, guard: Guard, ending: threading.Event
) -> Failure | None:
    key = key_of(subscription, message)
    attempt: int | None = None if message.redelivered else message.attempt
    hold = Hold(subscription, ending)
    while True:
        started = time.monotonic()
        try:
            if attempt is None:
                # The first run is not counted: the broker cannot say which messages of a group had started.
                limit = max(1, subscription.max_retries)
                attempt = _begin_attempt(key, attempt=message.attempt, limit=limit)
                if attempt is None:
                    return None
                if (begun := attempt - message.attempt) >= limit:
                    raise ExhaustedError(f"started alone {begun} times without an outcome: it kills its worker")
            run = partial(tracing.process(_run_together), subscription, (message,), guard=guard, attempt=attempt)
            retry_deadlocks(partial(run, has_place=message.redelivered))
        except (StillRunningError, NoPlaceError):
            raise
        except BaseException as error:  # a subscriber may raise anything, even SystemExit; it is recorded
            if _is_interrupt(error):
                raise
            if hold.is_over(error):
                continue
            return Failure(message, attempt or message.attempt, error, time.monotonic() - started)
        _log_done(subscription, (message,), time.monotonic() - started, attempt=attempt)
        return None


def _is_interrupt(error: BaseException) -> bool:
    """Whether the worker ends its threads. The time limit of a subscriber is its own failure."""
    return isinstance(error, Interrupt) and not isinstance(error, TimeLimitExceeded)


def _begin_attempt(key: DeliveryKey, *, attempt: int, limit: int) -> int | None:
    try:
        return Delivery.objects.begin_attempt(key, attempt=attempt, limit=limit)
    except OperationalError as error:
        if sqlstate(error) == LOCKED:
            raise StillRunningError(f"{key.event_id} at {key.subscriber}") from error
        raise


@clean_sessions()
def _run_together(
    subscription: Subscription,
    messages: Sequence[ReceivedMessage],
    *,
    guard: Guard,
    attempt: int | None = None,
    has_place: bool = False,
) -> None:
    """One transaction: the inbox rows, then the function on each event whose row was not final.

    has_place: whether the caller holds one of the subscriber's places.
    """
    by_key = {key_of(subscription, message): message for message in messages}
    attempts = {key: attempt or message.attempt for key, message in by_key.items()}
    if not subscription.atomic:
        with nullcontext() if has_place else own_place(subscription):
            _run_in_its_own_transactions(subscription, by_key, attempts, guard)
        return
    using = router.db_for_write(Delivery)
    with committed(using=using, seal=DeliverySeal(Delivery)) as transaction:
        if not has_place:
            take_place(using, subscription)
        recorded = record_unless_pruned(by_key, attempts=attempts, time_limit=subscription.time_limit)
        events = [_event_of(message, attempts[key]) for key, message in by_key.items() if key in recorded]
        calls = [events] if subscription.batch and events else [[event] for event in events]
        place, stopwatch = len(transaction.connection.run_on_commit), Stopwatch(subscription.pace)
        for number, given in enumerate(calls, start=1):
            _call(subscription, given, guard, connection=transaction.connection)
            # Before the next one: what it wrote outside of the transaction would stay.
            transaction.check()
            if not transaction.nested:
                place = isolate(transaction.connection, start=place, subscription=subscription, events=given)
            stopwatch.check(done=number, of=len(calls))
    count_done(subscription.name, by_key, recorded)


def _run_in_its_own_transactions(
    subscription: Subscription,
    by_key: dict[DeliveryKey, ReceivedMessage],
    attempts: dict[DeliveryKey, int],
    guard: Guard,
) -> None:
    using = router.db_for_write(Delivery)
    for key, message in by_key.items():
        if is_open(key, message):
            event = _event_of(message, attempts[key])
            with clean_sessions(), Delivery.objects.statements_limited(subscription.time_limit), none_left_open(using):
                _call(subscription, [event], guard)
            with committed(using=using):
                recorded = Delivery.objects.record_done([key], attempts=attempts)
            count_done(subscription.name, {key: message}, recorded)


def _call(subscription: Subscription, events: list[Event], guard: Guard, *, connection: Any = None) -> None:
    """connection: that of the delivery's transaction, if it has one."""
    cause = events[0].meta if len(events) == 1 else None
    token, started = current_event.set(cause), time.monotonic()
    try:
        with delivering(subscription, events, connection):
            subscription.call(events, guard=guard)
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
        **facts_of(messages),
        attempt=max(attempt, messages[0].attempt),
        seconds=round(seconds, 6),
    )
