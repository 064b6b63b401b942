"""emit: with the change or not at all."""

import datetime as dt
import threading
import uuid
from typing import Any

import pytest
from django.db import connection, transaction

from events.bus import EmitOutsideTransactionError, emit, emit_many, suppressed
from events.models import OutboxMessage, StoredEvent
from events.testing import deliver, emitted
from tests.effects.events import BalanceChanged, Rang
from tests.effects.models import Account, Effect

pytestmark = pytest.mark.django_db


def test_an_event_outside_a_transaction_is_refused_in_a_test_too() -> None:
    with pytest.raises(EmitOutsideTransactionError, match=r"transaction\.atomic"):
        emit(Rang(number=1))
    assert not StoredEvent.objects.exists()


def test_emit_returns_the_id_under_which_the_event_stands_in_log_and_outbox() -> None:
    with transaction.atomic():
        event_id = emit(Rang(number=1), priority=3)
    assert isinstance(event_id, uuid.UUID)
    stored = StoredEvent.objects.get(event_id=event_id)
    assert (stored.topic, stored.version, stored.subject, stored.data) == (
        "bell.rang",
        1,
        "bell/1",
        {"number": 1, "mood": "calm"},
    )
    assert OutboxMessage.objects.get().event == stored
    assert OutboxMessage.objects.get().priority == 3


def test_a_rollback_takes_the_event_along() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        emit(Rang(number=1))
        _ = 1 / 0
    assert emitted(Rang) == []
    assert not OutboxMessage.objects.exists()


def test_many_events_keep_their_order() -> None:
    events = [Rang(number=number) for number in range(250)]
    with transaction.atomic():
        ids = emit_many(events)
    assert len(set(ids)) == 250
    assert emitted(Rang) == events
    assert [row.envelope.data["number"] for row in OutboxMessage.objects.new().as_rows()] == list(range(250))


def test_many_large_events_are_written_in_statements_that_the_database_takes() -> None:
    events = [Rang(number=number, mood="x" * 1_500_000) for number in range(12)]
    lengths: list[int] = []

    def measured(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        lengths.extend(
            sum(len(value) for value in row if isinstance(value, str)) for row in (params if many else [params])
        )
        return execute(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(measured):
        emit_many(events)
    assert max(lengths) < 10_000_000 < sum(lengths)
    assert StoredEvent.objects.count() == OutboxMessage.objects.count() == 12
    assert list(StoredEvent.objects.order_by("sequence").values_list("subject", flat=True)) == [
        event.subject_text for event in events
    ]


def test_an_event_that_no_broker_would_take_is_refused() -> None:
    with transaction.atomic(), pytest.raises(ValueError, match="Keep large data in a table"):
        emit(Rang(number=1, mood="x" * 4_000_000))


def test_a_wrong_priority_or_delay_is_refused() -> None:
    with transaction.atomic():
        with pytest.raises(ValueError, match="priority"):
            emit(Rang(number=1), priority=10)
        for delay in (dt.timedelta(seconds=-1), 5):
            with pytest.raises(ValueError, match="delay must be a timedelta"):
                emit(Rang(number=1), delay=delay)
        for no_event in (Rang, "bell.rang"):
            with pytest.raises(TypeError, match="takes an event"):
                emit(no_event)


def test_a_suppressed_event_is_logged_and_delivered_to_nobody() -> None:
    with transaction.atomic(), suppressed("moved house"):
        emit(Rang(number=1))
    assert StoredEvent.objects.get().suppressed == "moved house"
    assert deliver() == 0
    assert not Effect.objects.exists()


def test_a_delayed_event_waits_until_it_is_due() -> None:
    with transaction.atomic():
        emit(Rang(number=1), delay=dt.timedelta(hours=1))
    assert deliver() == 0
    assert OutboxMessage.objects.get().due > dt.datetime.now(dt.UTC) + dt.timedelta(minutes=59)


def test_a_saved_row_and_its_event_commit_together() -> None:
    account = Account.objects.create(balance=5)
    account.balance = 8
    account.save()
    account.save()
    assert emitted(BalanceChanged) == [
        BalanceChanged(account_id=account.pk, before=0, after=5),
        BalanceChanged(account_id=account.pk, before=5, after=8),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_save_in_autocommit_emits_once() -> None:
    account = Account.objects.create(balance=5)
    assert connection.get_autocommit()
    assert emitted(BalanceChanged) == [BalanceChanged(account_id=account.pk, before=0, after=5)]


@pytest.mark.django_db(transaction=True)
def test_two_stale_instances_saved_at_once_tell_of_the_change_once() -> None:
    account = Account.objects.create(balance=0)
    stale = [Account.objects.get(pk=account.pk) for _ in range(4)]
    start = threading.Barrier(len(stale))

    def save(instance: Account) -> None:
        instance.balance = 10
        start.wait()
        try:
            instance.save()
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(instance,)) for instance in stale]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert emitted(BalanceChanged) == [BalanceChanged(account_id=account.pk, before=0, after=10)]
