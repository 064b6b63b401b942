"""Time limits: whatever a subscriber is stuck in, its run ends and its neighbours are done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connection, transaction

from events.bus import emit_many
from events.inbox.delivery import DeliveryFailedError, TimeLimitError, process, unlimited
from events.inbox.message import ReceivedMessage
from events.inbox.retry import record_failures
from events.inbox.time_limit import DeliveryTimeLimit
from events.models import Delivery, OutboxMessage, StoredEvent
from events.subscription import Subscription
from tests.conformance.processes import database_url
from tests.effects.events import Rang
from tests.effects.models import Account, Effect
from tests.support.broker_case import only

LIMIT = 300


@pytest.fixture
def guard() -> Callable:
    """The worker's time limits."""
    limits = DeliveryTimeLimit()
    limits.after_process_boot(None)
    return limits.guard


@pytest.fixture
def held_row(transactional_db: None) -> Iterator[int]:
    """A row that someone else has locked."""
    account = Account.objects.create()
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT 1 FROM effects_account WHERE id = %s FOR UPDATE", [account.pk])
        yield account.pk


def arrivals(*moods: str) -> list[ReceivedMessage]:
    with transaction.atomic():
        emit_many([Rang(number=number, mood=mood) for number, mood in enumerate(moods)])
    OutboxMessage.objects.all().delete()
    return [
        ReceivedMessage(envelope=stored.envelope(), body=b"") for stored in StoredEvent.objects.order_by("sequence")
    ]


def fail(subscription: Subscription, given: list[ReceivedMessage], guard: Callable = unlimited) -> DeliveryFailedError:
    with pytest.raises(DeliveryFailedError) as failed:
        process(subscription, given, guard=guard)
    return failed.value


def effect(event: Rang) -> None:
    Effect.objects.create(subscriber="limited", number=event.number)


def statement_timeout() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


@pytest.mark.postgres
def test_a_statement_that_sleeps_is_cut_off_and_its_neighbours_are_done(transactional_db: None) -> None:
    def stuck(event: Rang) -> None:
        effect(event)
        if event.mood == "stuck":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(60)")

    with only(None, stuck, time_limit=LIMIT, max_retries=1) as subscription:
        given = arrivals("calm", "stuck", "calm")
        for attempt in (1, 2):
            failed = fail(subscription, given)
            (failure,) = failed.failures
            assert isinstance(failure.error, TimeLimitError)
            assert LIMIT / 1000 <= failure.duration < 30
            record_failures(failed)
            given = [ReceivedMessage(envelope=given[1].envelope, body=b"", attempt=attempt + 1)] if attempt == 1 else []
    assert sorted(Effect.objects.values_list("number", flat=True)) == [0, 2]
    dead = Delivery.objects.get(state="dead")
    assert (dead.attempts, dead.failures.count()) == (2, 2)
    assert "time limit of 0.3 s" in dead.reason
    assert statement_timeout() == "0"


@pytest.mark.postgres
def test_waiting_for_a_lock_is_cut_off_too(held_row: int) -> None:
    def wait(event: Rang) -> None:
        if event.mood == "stuck":
            Account.objects.filter(pk=held_row).update(balance=1)
        effect(event)

    with only(None, wait, time_limit=LIMIT) as subscription:
        failed = fail(subscription, arrivals("calm", "stuck", "calm"))
    assert [type(failure.error) for failure in failed.failures] == [TimeLimitError]
    assert sorted(Effect.objects.values_list("number", flat=True)) == [0, 2]


@pytest.mark.postgres
def test_a_batch_that_is_stuck_is_done_one_by_one_but_for_the_event_that_holds_it_up(held_row: int) -> None:
    def wait(events: list[Rang]) -> None:
        if any(event.mood == "stuck" for event in events):
            Account.objects.filter(pk=held_row).update(balance=1)
        for event in events:
            effect(event)

    with only(None, wait, time_limit=LIMIT, batch=10) as subscription:
        failed = fail(subscription, arrivals("calm", "stuck", "calm"))
    assert [failure.message.envelope.data["number"] for failure in failed.failures] == [1]
    assert sorted(Effect.objects.values_list("number", flat=True)) == [0, 2]


@pytest.mark.postgres
def test_work_in_its_own_transactions_is_cut_off_in_each_and_leaves_no_limit_behind(held_row: int) -> None:
    def wait(event: Rang) -> None:
        effect(event)
        with transaction.atomic():
            Account.objects.filter(pk=held_row).update(balance=1)

    with only(None, wait, time_limit=LIMIT, atomic=False) as subscription:
        failed = fail(subscription, arrivals("stuck"))
    assert isinstance(failed.failures[0].error, TimeLimitError)
    assert Effect.objects.count() == 1, "what it committed stays: it is idempotent by itself"
    assert statement_timeout() == "0"


@pytest.mark.django_db(transaction=True)
def test_a_loop_in_python_is_interrupted(guard: Callable) -> None:
    def loop(event: Rang) -> None:
        effect(event)
        while event.mood == "stuck":
            time.sleep(0.01)

    with only(None, loop, time_limit=LIMIT) as subscription:
        failed = fail(subscription, arrivals("calm", "stuck", "calm"), guard)
    (failure,) = failed.failures
    assert isinstance(failure.error, TimeLimitError)
    assert "time limit of 0.3 s" in str(failure.error)
    assert sorted(Effect.objects.values_list("number", flat=True)) == [0, 2]


def test_nothing_is_interrupted_once_its_guard_has_let_go(guard: Callable) -> None:
    ended: list[str] = []

    def work() -> None:
        with guard(1):
            pass
        time.sleep(2.5)  # longer than the limits are looked at
        ended.append("in peace")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == ["in peace"]
