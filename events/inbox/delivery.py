"""Delivery: arrivals → subscriber, each with exactly one effect.

The record of a delivery (the inbox row) and the effect commit in one transaction. Waiting events share one; when
anything in it fails, all of it is rolled back and each event runs again alone, so that a poison event takes no other
along.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import structlog
from django.db import OperationalError, connections, router, transaction
from dramatiq.middleware import Interrupt, TimeLimitExceeded

from ..db.dialect import DeliveryKey
from ..envelope import UndecodableError
from ..event import Event
from ..models import Delivery
from ..outbox.emit import handling
from ..pool import get_pool
from ..subscription import Subscription
from .message import Arrival

log = structlog.get_logger("events.delivery")

#: How often a transaction that lost a deadlock runs again at once; it costs no attempt.
DEADLOCK_RETRIES = 10
DEADLOCKS = {"40P01", "40001"}
#: A statement was cancelled: by its time-out, or by an administrator.
CANCELLED = "57014"
LOCKED = "55P03"

#: Given the milliseconds a call may take, guards it; the worker puts its time limit here.
Guard = Callable[[int], AbstractContextManager[None]]


def unlimited(milliseconds: int) -> AbstractContextManager[None]:
    """No time limit."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Failure:
    """One arrival whose run failed."""

    arrival: Arrival
    attempt: int
    error: BaseException
    duration: float


class DeliveryFailed(Exception):
    """Some arrivals of a message failed; all others are done."""

    def __init__(self, subscription: Subscription, failures: Sequence[Failure]) -> None:
        super().__init__(f"{subscription.name}: {len(failures)} failed: {failures[0].error!r}")
        self.subscription = subscription
        self.failures = failures


class ExhaustedError(Exception):
    """A message used up its attempts without ever failing: it kills its worker."""


class StillRunningError(Exception):
    """Another run of the same message is under way: this one is given back, to be looked at again."""


class TimeLimitReached(Exception):
    """A subscriber, or one of its statements, ran longer than it may."""

    def __init__(self, subscription: Subscription) -> None:
        limit = subscription.time_limit / 1000
        super().__init__(f"longer than its time limit of {limit:g} s: give the subscriber a time_limit=, or less to do")


def process(subscription: Subscription, arrivals: Sequence[Arrival], *, guard: Guard = unlimited) -> None:
    """Run a subscriber on arrivals, in one slot of the process's pool.

    Raises DeliveryFailed with those that failed; each of the others is done or was done before. Raises
    StillRunningError for a redelivered one that another run holds up.
    """
    get_pool().run(_process, subscription, arrivals, guard)


def _process(subscription: Subscription, arrivals: Sequence[Arrival], guard: Guard) -> None:
    failures: list[Failure] = []
    if len(arrivals) > 1:
        started = time.monotonic()
        try:
            _run_together(subscription, arrivals, guard=guard)
        except BaseException as error:  # whatever it was, each runs again alone and is recorded there
            if isinstance(error, Interrupt) and not isinstance(error, TimeLimitExceeded):
                raise
            log.info("group rolled back", subscriber=subscription.name, events=len(arrivals), error=repr(error))
        else:
            _log_done(subscription, arrivals, time.monotonic() - started)
            return
    for arrival in arrivals:
        if failure := _run_alone(subscription, arrival, guard):
            failures.append(failure)
    if failures:
        raise DeliveryFailed(subscription, failures)


def _run_alone(subscription: Subscription, arrival: Arrival, guard: Guard) -> Failure | None:
    key, attempt, started = key_of(subscription, arrival), arrival.attempt, time.monotonic()
    try:
        if arrival.redelivered:
            # One run more may have come before: uncounted, as the broker does not say which of a group had begun.
            most = max(1, subscription.max_retries)
            counted = _begin(key, attempt=arrival.attempt, most=most)
            if counted is None:
                return None
            attempt = counted
            if (begun := counted - arrival.attempt) >= most:
                raise ExhaustedError(f"started alone {begun} times without an outcome: it kills its worker")
        _run_through_deadlocks(subscription, arrival, attempt, guard)
    except StillRunningError:
        raise
    except BaseException as error:  # a subscriber may raise anything, SystemExit too; it is recorded
        if isinstance(error, Interrupt) and not isinstance(error, TimeLimitExceeded):
            raise
        return Failure(arrival, attempt, error, time.monotonic() - started)
    _log_done(subscription, (arrival,), time.monotonic() - started, attempt=attempt)
    return None


def _begin(key: DeliveryKey, *, attempt: int, most: int) -> int | None:
    try:
        return Delivery.objects.begin(key, attempt=attempt, most=most)
    except OperationalError as error:
        if _sqlstate(error) == LOCKED:
            raise StillRunningError(f"{key.event_id} at {key.subscriber}") from error
        raise


def _run_through_deadlocks(subscription: Subscription, arrival: Arrival, attempt: int, guard: Guard) -> None:
    for again in range(DEADLOCK_RETRIES, -1, -1):
        try:
            _run_together(subscription, (arrival,), guard=guard, attempt=attempt)
            return
        except OperationalError as error:
            if not again or _sqlstate(error) not in DEADLOCKS:
                raise
            time.sleep(random.uniform(0.01, 0.1))


def _run_together(
    subscription: Subscription, arrivals: Sequence[Arrival], *, guard: Guard, attempt: int | None = None
) -> None:
    """One transaction: the inbox rows, then the function on each event that had none."""
    by_key = {key_of(subscription, arrival): arrival for arrival in arrivals}
    attempts = {key: attempt or arrival.attempt for key, arrival in by_key.items()}
    if not subscription.atomic:
        _run_in_its_own_transactions(subscription, by_key, attempts, guard)
        return
    using = router.db_for_write(Delivery)
    with transaction.atomic(using=using):
        claimed = Delivery.objects.claim(by_key, attempts=attempts, time_limit=subscription.time_limit)
        events = [_event_of(arrival, attempts[key]) for key, arrival in by_key.items() if key in claimed]
        if subscription.batch:
            if events:
                _call(subscription, events, guard)
        else:
            for event in events:
                _call(subscription, [event], guard)
        _isolate_callbacks(using)


def _run_in_its_own_transactions(
    subscription: Subscription, by_key: dict[DeliveryKey, Arrival], attempts: dict[DeliveryKey, int], guard: Guard
) -> None:
    for key, arrival in by_key.items():
        if Delivery.objects.is_open(key):
            event = _event_of(arrival, attempts[key])
            with Delivery.objects.statements_limited(subscription.time_limit):
                _call(subscription, [event], guard)
            Delivery.objects.claim([key], attempts=attempts)


def _isolate_callbacks(using: str) -> None:
    """Let each on_commit callback fail by itself: it is logged, and the others, of other events perhaps, still run."""
    connection = connections[using]
    callbacks = [(savepoints, callback, True) for savepoints, callback, *_ in connection.run_on_commit]
    connection.run_on_commit = callbacks  # type: ignore[assignment]


def _call(subscription: Subscription, events: list[Event], guard: Guard) -> None:
    alone = events[0].meta if len(events) == 1 else None
    token, started = handling.set(alone), time.monotonic()
    try:
        with guard(subscription.time_limit):
            subscription.call(events)
    except TimeLimitExceeded as interrupt:
        raise TimeLimitReached(subscription) from interrupt
    except OperationalError as error:
        if _sqlstate(error) == CANCELLED and time.monotonic() - started >= subscription.time_limit / 1000:
            raise TimeLimitReached(subscription) from error
        raise
    finally:
        handling.reset(token)


def _sqlstate(error: OperationalError) -> str | None:
    """PostgreSQL's code of an error."""
    return getattr(error.__cause__, "sqlstate", None)


def key_of(subscription: Subscription, arrival: Arrival) -> DeliveryKey:
    """The inbox key of an arrival."""
    return DeliveryKey(arrival.event_id, subscription.name, arrival.run)


def _event_of(arrival: Arrival, attempt: int) -> Event:
    if arrival.envelope is None:
        raise UndecodableError(arrival.error)
    return arrival.envelope.event(attempt=attempt, run=arrival.run)


def _log_done(subscription: Subscription, arrivals: Sequence[Arrival], seconds: float, *, attempt: int = 1) -> None:
    if not logging.getLogger("events.delivery").isEnabledFor(logging.INFO):
        return
    log.info(
        "delivered",
        subscriber=subscription.name,
        events=[str(arrival.event_id) for arrival in arrivals],
        attempt=max(attempt, arrivals[0].attempt),
        seconds=round(seconds, 6),
    )
