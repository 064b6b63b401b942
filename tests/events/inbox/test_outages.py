"""Outages of the database cost no attempt."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import OperationalError, close_old_connections, connection

from events.inbox import hold
from events.inbox.delivery import DeliveryFailedError, process
from events.inbox.hold import GivenBackError
from events.inbox.retry import record_failures
from events.models import Attempt, DeadLetter, Delivery
from tests.conformance.processes import database_url
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.events.inbox.test_delivery import arrival
from tests.support.broker_case import only

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def end_own_session() -> None:
    """As an administrator, a restart or a fail-over does."""
    pid = connection.connection.info.backend_pid
    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def reads() -> None:
    Effect.objects.count()


def reads_and_raises_its_own() -> None:
    try:
        Effect.objects.count()
    except OperationalError:
        raise ValueError("my own") from None


def swallows() -> None:
    with contextlib.suppress(OperationalError):
        Effect.objects.count()


def swallows_and_closes() -> None:
    swallows()
    close_old_connections()


def does_nothing() -> None:
    """The COMMIT meets it."""


@pytest.fixture
def read_only() -> Iterator[Callable[[bool], None]]:
    """Makes every new session of this database read-only, as after a fail-over, and ends the others."""
    name = connection.settings_dict["NAME"]

    def switch(on: bool) -> None:
        value = "SET default_transaction_read_only = on" if on else "RESET default_transaction_read_only"
        with psycopg.connect(database_url(), autocommit=True) as other:
            other.execute("SET default_transaction_read_only = off")
            other.execute(f'ALTER DATABASE "{name}" {value}')
            other.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    yield switch
    switch(False)
    connection.close()


@pytest.mark.parametrize("meets", [reads, reads_and_raises_its_own, swallows, swallows_and_closes, does_nothing])
def test_a_lost_session_costs_no_attempt_alone_and_in_a_group(meets: Callable[[], None]) -> None:
    for count in (1, 3):
        lost = 0

        def loses(event: Rang) -> None:
            nonlocal lost
            Effect.objects.create(subscriber="out", number=event.number, attempt=event.meta.attempt)
            if event.number == 0 and lost < 2:
                lost += 1
                end_own_session()
                meets()

        with only(None, loses, max_retries=0) as subscription:
            process(subscription, [arrival(number) for number in range(count)])
        assert list(Effect.objects.order_by("number").values_list("number", "attempt")) == [
            (number, 1) for number in range(count)
        ]
        assert lost == 2
        assert not Attempt.objects.exists()
        assert Delivery.objects.filter(state="done").count() == count
        Effect.objects.all().delete()
        Delivery.objects.all().delete()


def test_a_subscriber_that_ends_its_own_session_each_time_fails_with_the_true_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hold, "SUSPECT", 4)
    calls = 0

    def ends(event: Rang) -> None:
        nonlocal calls
        Effect.objects.create(subscriber="out", number=event.number)
        if event.mood == "ends":
            calls += 1
            end_own_session()
            reads()

    with only(None, ends, max_retries=0) as subscription:
        with pytest.raises(DeliveryFailedError) as failed:
            process(subscription, [arrival(0), arrival(1, "ends"), arrival(2)])
        record_failures(failed.value)
    assert calls == hold.SUSPECT + 1
    assert "terminating connection" in DeadLetter.objects.get(state="dead").reason
    assert sorted(Effect.objects.values_list("number", flat=True)) == [0, 2]


def test_a_read_only_server_is_waited_for(read_only: Callable[[bool], None]) -> None:
    held: list[float] = []

    def writes(event: Rang) -> None:
        Effect.objects.create(subscriber="out", number=event.number)

    read_only(True)
    back = threading.Timer(1.5, read_only, [False])
    back.start()
    started = time.monotonic()
    with only(None, writes, max_retries=0) as subscription:
        process(subscription, [arrival(number) for number in range(5)])
    held.append(time.monotonic() - started)
    back.join()
    assert held[0] > 1
    assert Effect.objects.count() == Delivery.objects.filter(state="done").count() == 5
    assert not Attempt.objects.exists()


def test_a_worker_that_ends_meanwhile_gives_the_message_back(read_only: Callable[[bool], None]) -> None:
    ending = threading.Event()
    read_only(True)
    threading.Timer(0.5, ending.set).start()
    with only(None, lambda event: None) as subscription, pytest.raises(GivenBackError):
        process(subscription, [arrival(1), arrival(2)], ending=ending)
    read_only(False)
    connection.close()
    assert not Delivery.objects.exists()


def test_a_redelivered_message_that_meets_an_outage_is_counted_once() -> None:
    lost = 0

    def loses(event: Rang) -> None:
        nonlocal lost
        lost += 1
        if lost < 4:
            end_own_session()
            reads()

    with only(None, loses, max_retries=1) as subscription:
        process(subscription, [arrival(1, redelivered=True)])
    assert (lost, Delivery.objects.get().attempts) == (4, 1)
