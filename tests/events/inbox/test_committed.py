"""Done means committed: however a subscriber breaks its transaction, its attempt has failed, with the reason."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import (
    DatabaseError,
    Error,
    IntegrityError,
    close_old_connections,
    connection,
    connections,
    transaction,
)

from events.inbox.delivery import DeliveryFailedError, process
from events.inbox.message import ReceivedMessage
from events.inbox.retry import record_failures
from events.models import Attempt, DeadLetter, Delivery, OutboxMessage
from events.subscription import Subscription
from events.testing import deliver
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.events.inbox.test_delivery import arrival
from tests.support.broker_case import only
from tests.support.effects import ring_moods

#: What a subscriber may do to its transaction.
Break = Callable[[], None]
#: Statements that fail on both databases.
TWICE = "INSERT INTO effects_effect (id, subscriber, number, attempt) VALUES (7777777, 'raw', 1, 1)"


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def a_caught_error_of_the_orm() -> None:
    Effect.objects.create(pk=7777777, subscriber="orm", number=1)
    with contextlib.suppress(IntegrityError):
        Effect.objects.create(pk=7777777, subscriber="orm", number=1)


def a_caught_error_of_save() -> None:
    Effect.objects.create(pk=7777777, subscriber="orm", number=1)
    with contextlib.suppress(IntegrityError):
        Effect(pk=7777777, subscriber="orm", number=1).save(force_insert=True)


def a_caught_error_of_raw_sql() -> None:
    sql(TWICE)
    with contextlib.suppress(IntegrityError):
        sql(TWICE)


def a_rollback_that_was_asked_for() -> None:
    transaction.set_rollback(True)


def an_inner_block_without_a_savepoint() -> None:
    with contextlib.suppress(ValueError), transaction.atomic(savepoint=False):
        raise ValueError


def closing_the_connection() -> None:
    connection.close()


def closing_all_connections() -> None:
    connections.close_all()


def closing_broken_connections() -> None:
    connection.errors_occurred = True
    connection.close_at = 0
    close_old_connections()


def closing_the_drivers_connection() -> None:
    connection.connection.close()


def a_raw_rollback() -> None:
    sql("ROLLBACK")


def a_raw_rollback_and_more() -> None:
    sql("ROLLBACK")
    with contextlib.suppress(DatabaseError):
        Effect.objects.count()


def a_raw_rollback_and_begin() -> None:
    sql("ROLLBACK")
    sql("BEGIN")


def a_raw_rollback_begin_and_write() -> None:
    sql("ROLLBACK")
    sql("BEGIN")
    Effect.objects.create(subscriber="other transaction", number=1)


def a_rollback_of_the_driver() -> None:
    connection.connection.rollback()


def a_raw_commit() -> None:
    sql("COMMIT")


def a_caught_raw_commit() -> None:
    with contextlib.suppress(DatabaseError):
        sql("COMMIT")
    with contextlib.suppress(DatabaseError):
        sql("BEGIN")


def a_commit_of_the_driver() -> None:
    connection.connection.commit()


def a_caught_commit_of_the_driver_and_more() -> None:
    # Caught, it is refused on SQLite, and the transaction is whole.
    with contextlib.suppress(Exception):
        connection.connection.commit()
    if connection.vendor == "sqlite":
        connection.connection.rollback()


def an_atomic_block_that_is_never_left() -> None:
    left_open.append(transaction.atomic())
    left_open[-1].__enter__()


def leaving_the_workers_atomic_block() -> None:
    connection.in_atomic_block = False
    connection.rollback()


def another_connection() -> None:
    connections["default"] = connections.create_connection("default")


def another_session() -> None:
    replaced.append(connection.connection)
    connection.connection = connection.get_new_connection(connection.get_connection_params())


def a_statement_that_rolls_back_everything() -> None:
    sql(TWICE)
    with contextlib.suppress(IntegrityError):
        sql(TWICE.replace("INSERT", "INSERT OR ROLLBACK"))


def a_prepared_transaction() -> None:
    with contextlib.suppress(DatabaseError):
        sql("PREPARE TRANSACTION 'airy_test'")


def a_caught_time_out_of_a_statement() -> None:
    sql("SET LOCAL statement_timeout = 20")
    with contextlib.suppress(Error):
        sql("SELECT pg_sleep(5)")


def autocommit() -> None:
    connection.in_atomic_block = False
    with contextlib.suppress(Exception):
        connection.set_autocommit(True)


left_open: list[Any] = []
replaced: list[Any] = []
EVERYWHERE: list[Break] = [
    a_caught_error_of_the_orm,
    a_caught_error_of_save,
    a_rollback_that_was_asked_for,
    an_inner_block_without_a_savepoint,
    closing_the_connection,
    closing_all_connections,
    closing_broken_connections,
    closing_the_drivers_connection,
    a_raw_rollback,
    a_raw_rollback_and_more,
    a_raw_rollback_and_begin,
    a_raw_rollback_begin_and_write,
    a_rollback_of_the_driver,
    a_raw_commit,
    a_commit_of_the_driver,
    a_caught_commit_of_the_driver_and_more,
    an_atomic_block_that_is_never_left,
    leaving_the_workers_atomic_block,
    another_connection,
    another_session,
    autocommit,
]
ON_POSTGRESQL: list[Break] = [
    a_caught_error_of_raw_sql,
    a_caught_raw_commit,
    a_prepared_transaction,
    a_caught_time_out_of_a_statement,
]
ON_SQLITE: list[Break] = [a_statement_that_rolls_back_everything]


@pytest.fixture(autouse=True)
def whole_connection(transactional_db: None) -> Iterator[None]:
    own = connections["default"]
    yield
    assert connections["default"] is own
    assert not own.in_atomic_block
    assert own.get_autocommit()
    left_open.clear()
    while replaced:
        with contextlib.suppress(sqlite3.Error):
            replaced.pop().close()


def ways() -> list[Break]:
    return EVERYWHERE + (ON_POSTGRESQL if connection.vendor == "postgresql" else ON_SQLITE)


def outcomes(subscription: Subscription, given: list[ReceivedMessage]) -> list[int]:
    """Deliver until nothing is left of it, as the worker does; returns the numbers that failed."""
    failed: list[int] = []
    try:
        process(subscription, given)
    except DeliveryFailedError as error:
        record_failures(error)
        failed = [failure.message.envelope.data["number"] for failure in error.failures]
        again = [
            failure.message._replace(attempt=failure.attempt + 1)
            for failure in error.failures
            if Delivery.objects.filter(event_id=failure.message.event_id, state="retrying").exists()
        ]
        OutboxMessage.objects.all().delete()
        if again:
            outcomes(subscription, again)
    return failed


def forget() -> None:
    for model in (Effect, Attempt, Delivery):
        model.objects.all().delete()


def effect(event: Rang) -> None:
    Effect.objects.create(subscriber="whole", number=event.number)
    transaction.on_commit(lambda: ran.append(event.number))


ran: list[int] = []


def assert_only_the_culprit_failed(way: Break, culprit: int, others: list[int]) -> None:
    name = way.__name__
    whole = sorted(Effect.objects.filter(subscriber="whole").values_list("number", flat=True))
    assert whole == others, name
    assert not Effect.objects.exclude(subscriber="whole").exists(), name
    assert sorted(ran) == others, name
    states = dict(Delivery.objects.values_list("state").order_by("state").values_list("state", "attempts"))
    assert Delivery.objects.filter(state="done").count() == len(others), name
    dead = DeadLetter.objects.get(state="dead")
    assert (dead.attempts, dead.failures.count()) == (2, 2), (name, states)
    reason = dead.reason.lower()
    assert "transaction" in reason or "commit" in reason or "closed" in reason, (name, dead.reason)
    forget()
    ran.clear()


def test_alone_it_is_a_failed_attempt_and_then_a_dead_letter_with_the_reason() -> None:
    for way in ways():

        def subscriber(event: Rang, way: Break = way) -> None:
            effect(event)
            way()

        with only(None, subscriber, max_retries=1) as subscription:
            outcomes(subscription, [arrival(1)])
        assert_only_the_culprit_failed(way, 1, [])


@pytest.mark.parametrize("batch", [False, True])
def test_in_a_group_and_in_a_batch_the_neighbours_are_done(batch: bool) -> None:
    for way in ways():

        def subscriber(given: Any, way: Break = way) -> None:
            events = given if batch else [given]
            for event in events:
                effect(event)
            if any(event.mood == "broken" for event in events):
                way()

        with only(None, subscriber, max_retries=1, **({"batch": 10} if batch else {})) as subscription:
            given = [arrival(0), arrival(1, "broken"), arrival(2), arrival(3)]
            assert outcomes(subscription, given) == [1], way.__name__
        assert_only_the_culprit_failed(way, 1, [0, 2, 3])


def test_in_an_async_subscriber_too() -> None:
    for way in ways():

        async def subscriber(event: Rang, way: Break = way) -> None:
            await sync_to_async(effect)(event)
            if event.mood == "broken":
                await sync_to_async(way)()

        with only(None, subscriber, max_retries=1) as subscription:
            assert outcomes(subscription, [arrival(0), arrival(1, "broken"), arrival(2)]) == [1], way.__name__
        assert_only_the_culprit_failed(way, 1, [0, 2])


def test_what_django_refuses_breaks_nothing() -> None:
    def subscriber(event: Rang) -> None:
        for forbidden in (connection.commit, connection.rollback, lambda: connection.set_autocommit(True)):
            with pytest.raises(transaction.TransactionManagementError):
                forbidden()
        with contextlib.suppress(IntegrityError), transaction.atomic():
            Effect.objects.create(pk=7777777, subscriber="orm", number=1)
            Effect.objects.create(pk=7777777, subscriber="orm", number=1)
        effect(event)

    with only(None, subscriber) as subscription:
        process(subscription, [arrival(0), arrival(1)])
    assert sorted(Effect.objects.values_list("number", flat=True)) == sorted(ran) == [0, 1]
    assert not Attempt.objects.exists()
    ran.clear()


@pytest.mark.postgres
def test_constraints_may_be_checked_early() -> None:
    def subscriber(event: Rang) -> None:
        effect(event)
        connection.check_constraints()

    with only(None, subscriber) as subscription:
        process(subscription, [arrival(0), arrival(1)])
    assert Delivery.objects.filter(state="done").count() == 2
    ran.clear()


def test_a_subscriber_in_its_own_transactions_that_leaves_one_open_has_failed() -> None:
    def subscriber(event: Rang) -> None:
        an_atomic_block_that_is_never_left()
        Effect.objects.create(subscriber="whole", number=event.number)

    with only(None, subscriber, atomic=False, max_retries=1) as subscription:
        assert outcomes(subscription, [arrival(1)]) == [1]
    assert "was not left" in DeadLetter.objects.get().reason
    assert not Effect.objects.exists()


@pytest.mark.django_db
def test_in_a_test_case_the_reason_is_recorded_too() -> None:
    def subscriber(event: Rang) -> None:
        Effect.objects.create(subscriber="whole", number=event.number)
        if event.mood == "broken":
            a_caught_error_of_the_orm()

    with transaction.atomic(), only(None, subscriber, max_retries=1):
        ring_moods("calm", "broken", "calm")
        deliver()
        assert sorted(Effect.objects.values_list("number", flat=True)) == [0, 2]
        assert "was caught in it" in DeadLetter.objects.get(state="dead").reason
        transaction.set_rollback(True)
