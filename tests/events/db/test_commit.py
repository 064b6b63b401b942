"""`committed`: what ends without an exception is committed, wherever something is concluded from it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import Error, IntegrityError, connection, connections, transaction
from django.db.models.signals import post_delete, post_save

from events.db import NotCommittedError, committed
from events.inbox.delivery import DeliveryFailedError, process
from events.inbox.retry import record_failures
from events.models import Attempt, Delivery, OutboxMessage, StoredEvent
from feeds.actions.action import action
from feeds.batch import chunks
from tests.effects.models import Account, Effect
from tests.events.inbox.test_delivery import arrival
from tests.support.broker_case import only
from tests.support.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def caught() -> None:
    with contextlib.suppress(IntegrityError):
        Effect.objects.bulk_create([Effect(pk=7, subscriber="x", number=1), Effect(pk=7, subscriber="x", number=1)])
        transaction.set_rollback(True)


def asked() -> None:
    transaction.set_rollback(True)


def closed() -> None:
    connection.close()


def raw() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK")


def replaced() -> None:
    connections["default"] = connections.create_connection("default")


WAYS = (caught, asked, closed, raw, replaced)


@pytest.fixture(autouse=True)
def whole_connection() -> Iterator[None]:
    own = connections["default"]
    yield
    assert connections["default"] is own
    assert not own.in_atomic_block
    assert own.get_autocommit()


@contextlib.contextmanager
def when_written(model: type, way: Callable[[], None], *signals: Any) -> Iterator[None]:
    """A receiver, as a project may have one, that breaks the transaction in which a row is written."""

    def receiver(**kwargs: Any) -> None:
        way()

    for signal in signals:
        signal.connect(receiver, sender=model, weak=False)
    try:
        yield
    finally:
        for signal in signals:
            signal.disconnect(receiver, sender=model)


@pytest.mark.parametrize("way", WAYS)
def test_a_block_whose_transaction_was_broken_raises_and_leaves_nothing(way: Callable[[], None]) -> None:
    ran: list[int] = []
    with pytest.raises(NotCommittedError, match="its transaction was rolled back"), committed():
        Effect.objects.create(subscriber="x", number=1)
        transaction.on_commit(lambda: ran.append(1))
        way()
    assert (Effect.objects.count(), ran) == (0, [])


def test_a_whole_block_commits_also_one_that_asks_for_nothing() -> None:
    with committed():
        pass
    with committed(using="default"):
        Effect.objects.create(subscriber="x", number=1)
        with committed():
            Effect.objects.create(subscriber="x", number=2)
        with pytest.raises(ValueError, match="inner"), committed():
            Effect.objects.create(subscriber="x", number=3)
            raise ValueError("inner")
    assert sorted(Effect.objects.values_list("number", flat=True)) == [1, 2]


@pytest.mark.parametrize("way", [caught, asked])
def test_an_inner_block_that_was_broken_raises_too(way: Callable[[], None]) -> None:
    with transaction.atomic():
        Effect.objects.create(subscriber="x", number=1)
        with pytest.raises(NotCommittedError), committed():
            Effect.objects.create(subscriber="x", number=2)
            way()
    assert list(Effect.objects.values_list("number", flat=True)) == [1]


def test_a_block_within_a_broken_one_is_refused() -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(NotCommittedError, match="around it"), committed():
            Effect.objects.create(subscriber="x", number=1)


def test_without_autocommit_nothing_would_be_committed_so_it_is_refused() -> None:
    transaction.set_autocommit(False)
    try:
        with pytest.raises(NotCommittedError, match="autocommit"), committed():
            Effect.objects.create(subscriber="x", number=1)
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)


@pytest.mark.parametrize("way", WAYS)
def test_a_save_that_was_undone_by_a_receiver_raises(way: Callable[[], None]) -> None:
    with when_written(Account, way, post_save), pytest.raises(Error):
        Account(balance=5).save()
    assert not Account.objects.exists()
    assert not StoredEvent.objects.exists()
    kept = Account.objects.create(balance=1)
    with when_written(Account, way, post_delete), pytest.raises(Error):
        kept.delete()
    assert Account.objects.exists()


def test_a_save_inside_of_the_callers_transaction_is_not_lost_silently() -> None:
    with transaction.atomic():
        Account.objects.create(balance=1)
        with when_written(Account, asked, post_save), pytest.raises(NotCommittedError):
            Account(balance=2).save()
    assert list(Account.objects.values_list("balance", flat=True)) == [1]


@pytest.mark.parametrize("way", WAYS)
def test_an_action_that_was_undone_raises(way: Callable[[], None]) -> None:
    @action
    def act(user: Any) -> str:
        Effect.objects.create(subscriber="x", number=1)
        way()
        return "done"

    user = UserFactory()
    with pytest.raises(NotCommittedError):
        act(user)
    assert not Effect.objects.exists()


@pytest.mark.parametrize("way", [caught, asked, closed, raw])
def test_a_failure_that_was_not_recorded_is_not_taken_as_recorded(way: Callable[[], None]) -> None:
    def fails(event: Any) -> None:
        raise ValueError

    with only(None, fails) as subscription:
        with pytest.raises(DeliveryFailedError) as failed:
            process(subscription, [arrival(1)])
        with when_written(Attempt, way, post_save), pytest.raises(Error):
            record_failures(failed.value)
        assert not Delivery.objects.exists()
        record_failures(failed.value)
    assert Delivery.objects.get().state == "retrying"
    assert OutboxMessage.objects.count() == 1


def test_a_chunk_that_was_undone_stops_a_command_at_its_cursor() -> None:
    def work(ids: list[int]) -> int:
        Effect.objects.create(subscriber="x", number=ids[0])
        if ids[0] == 2:
            asked()
        return ids[0]

    assert chunks._in_transaction(work, [1]) == 1
    with pytest.raises(NotCommittedError):
        chunks._in_transaction(work, [2])
    assert list(Effect.objects.values_list("number", flat=True)) == [1]
