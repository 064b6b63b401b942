"""Redelivery: a message that was under way when its worker died runs alone and counted, and pays for nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import connections
from django_dramatiq.middleware import DbConnectionsMiddleware
from dramatiq.middleware import Shutdown

from events.brokers.embedded import EmbeddedBroker
from events.brokers.redelivered import RedeliveryTurn
from events.inbox.delivery import DeliveryFailedError, StillRunningError, process
from events.inbox.message import ReceivedMessage
from events.inbox.retry import RetryOrDeadLetter, record_failures
from events.models import Attempt, DeadLetter, Delivery, OutboxMessage
from events.subscription import Subscription, subscriptions
from events.testing import deliver
from events.worker.shutdown import OrderlyShutdown
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.events.inbox.test_delivery import arrival, effects, fail
from tests.support.broker_case import only, working

pytestmark = pytest.mark.django_db


def again(message: ReceivedMessage, **attributes: object) -> ReceivedMessage:
    """The same message, as the broker hands it out after its worker died."""
    return message._replace(redelivered=True, **attributes)


def interrupted(subscription: Subscription, message: ReceivedMessage) -> None:
    """A run that ends without any outcome, as when its worker is killed."""
    with pytest.raises(Shutdown):
        process(subscription, [message])


@pytest.mark.parametrize("max_retries", [1, 2, 5])
def test_a_message_that_kills_its_worker_runs_once_and_max_retries_times_more(max_retries: int) -> None:
    runs = 0

    def kill(event: Rang) -> None:
        nonlocal runs
        runs += 1
        raise Shutdown

    with only(None, kill, max_retries=max_retries) as subscription:
        killer = arrival()
        interrupted(subscription, killer)
        for _ in range(max_retries):
            interrupted(subscription, again(killer))
        with pytest.raises(DeliveryFailedError) as given_up:
            process(subscription, [again(killer)])
    record_failures(given_up.value)
    dead = DeadLetter.objects.get()
    assert (dead.state, dead.attempts, runs) == ("dead", max_retries + 1, max_retries + 1)
    assert "kills its worker" in dead.reason


def test_without_retries_a_redelivered_message_runs_once_as_it_may_never_have_begun() -> None:
    runs = 0

    def kill(event: Rang) -> None:
        nonlocal runs
        runs += 1
        raise Shutdown

    with only(None, kill, max_retries=0) as subscription:
        killer = again(arrival())
        interrupted(subscription, killer)
        with pytest.raises(DeliveryFailedError, match="kills its worker"):
            process(subscription, [killer])
    assert runs == 1


def test_failures_on_record_do_not_make_a_killer_of_a_message_whose_last_attempt_was_killed() -> None:
    outcomes: list[BaseException | None] = [ValueError("not yet"), ValueError("not yet"), Shutdown(), Shutdown(), None]

    def stumble(event: Rang) -> None:
        if outcome := outcomes.pop(0):
            raise outcome

    with only(None, stumble, max_retries=2) as subscription:
        message = arrival()
        for attempt in (1, 2):
            with pytest.raises(DeliveryFailedError) as failed:
                process(subscription, [message._replace(attempt=attempt)])
            record_failures(failed.value)
        interrupted(subscription, message._replace(attempt=3))
        interrupted(subscription, again(message, attempt=3))
        process(subscription, [again(message, attempt=3)])
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("done", 4)
    assert sorted(Attempt.objects.values_list("number", flat=True)) == [1, 2]


def test_a_message_whose_failure_is_on_record_leaves_its_next_run_to_its_retry() -> None:
    message = arrival(mood="twice")
    fail("effects.moody", message)
    process(subscriptions["effects.moody"], [again(message)])
    assert Delivery.objects.get().attempts == 1
    deliver()
    assert list(Effect.objects.values_list("number", "attempt")) == [(1, 3)]


def test_a_message_done_before_is_skipped_when_redelivered() -> None:
    message = arrival()
    process(subscriptions["effects.moody"], [message])
    process(subscriptions["effects.moody"], [again(message)])
    assert effects("moody") == [1]


def test_a_redelivered_message_that_fails_has_used_up_the_attempts_it_began() -> None:
    outcomes: list[BaseException] = [Shutdown(), Shutdown(), ValueError("at last")]

    def stumble(event: Rang) -> None:
        raise outcomes.pop(0)

    with only(None, stumble, max_retries=2) as subscription:
        message = arrival()
        interrupted(subscription, message)
        interrupted(subscription, again(message))
        with pytest.raises(DeliveryFailedError) as failed:
            process(subscription, [again(message)])
    record_failures(failed.value)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("retrying", 2)


@pytest.mark.django_db(transaction=True)
def test_redelivered_messages_run_one_at_a_time_and_fresh_ones_go_past(eventually: Callable[..., None]) -> None:
    under_way: list[int] = []
    together: list[int] = []
    may_end = threading.Event()

    def run(event: Rang) -> None:
        under_way.append(event.number)
        together.append(len(under_way))
        may_end.wait(30)
        under_way.remove(event.number)

    def leave_effect(event: Rang) -> None:
        Effect.objects.create(subscriber="fresh", number=event.number)

    broker = EmbeddedBroker(middleware=[DbConnectionsMiddleware(), RetryOrDeadLetter(), OrderlyShutdown()])
    slow = partial(only, broker, run, atomic=False)
    with slow() as first, slow() as second, only(broker, leave_effect) as third:
        for number, subscription in enumerate((first, first, second, second)):
            broker.mailboxes[subscription.queue].put([again(arrival(number), tag=(number, 1))])
        # Neither those of the same queue nor others wait behind one whose turn it is not.
        broker.mailboxes[third.queue].put([again(arrival(4, tag=(4, 1)))])
        broker.mailboxes[third.queue].put([arrival(number, tag=(number, 1)) for number in range(10, 13)])
        with working(broker, threads=2, on_leaving=may_end.set):
            eventually(lambda: under_way and {10, 11, 12} <= set(effects("fresh")))
            may_end.set()
            eventually(lambda: Delivery.objects.filter(state="done").count() == 8)
    assert together == [1, 1, 1, 1]


def test_queues_take_turns_when_more_than_one_has_redelivered_messages() -> None:
    turn, one, other = RedeliveryTurn(), object(), object()
    redelivered = [again(arrival())]
    assert turn.begin(one)
    assert not turn.begin(one)
    turn.end(redelivered)
    streak = time.monotonic()
    while turn.begin(one):
        assert not turn.begin(other)
        turn.end([arrival()])  # a new message has no turn
        assert not turn.is_free(other)
        turn.end(redelivered)
        assert time.monotonic() < streak + 30
    assert turn.begin(other)
    turn.end(redelivered)
    assert turn.begin(one)


def test_a_retry_whose_worker_is_killed_runs_though_more_attempts_had_begun_than_failed() -> None:
    outcomes: list[BaseException | None] = [Shutdown(), Shutdown(), ValueError("a copy fails"), None]

    def stumble(event: Rang) -> None:
        if outcome := outcomes.pop(0):
            raise outcome

    with only(None, stumble) as subscription:
        message = arrival()
        for _ in range(2):
            interrupted(subscription, again(message))
        with pytest.raises(DeliveryFailedError) as failed:
            process(subscription, [message])
        record_failures(failed.value)
        (retry,) = OutboxMessage.objects.values_list("attempt", flat=True)
        process(subscription, [again(message, attempt=retry)])
    assert outcomes == []
    assert Delivery.objects.get().state == "done"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_message_that_still_runs_elsewhere_is_given_back_at_once_and_skipped_once_it_is_done() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def run_long(event: Rang) -> None:
        Effect.objects.create(subscriber="long", number=event.number)
        begun.set()
        may_end.wait(30)

    def run(message: ReceivedMessage) -> None:
        try:
            process(subscription, [message])
        finally:
            connections.close_all()

    with only(None, run_long) as subscription, ThreadPoolExecutor(1) as pool:
        long = arrival(1)
        running = pool.submit(run, long)
        assert begun.wait(20)
        try:
            with pytest.raises(StillRunningError):
                process(subscription, [again(long)])
            assert not running.done()
        finally:
            may_end.set()
        running.result()
        process(subscription, [again(long)])
    assert effects("long") == [1]
    assert Delivery.objects.get().attempts == 1
