"""Deadlocks and serialization failures: the database's way to say "again", which costs no attempt."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from events.inbox.delivery import process
from events.models import Attempt, Delivery
from tests.effects.events import Rang
from tests.effects.models import Account, Effect
from tests.events.inbox.test_time_limit import arrivals
from tests.support.broker_case import only

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def in_two_threads(run: Callable[[int], None]) -> None:
    """Both at once, each on a connection of its own; raises what either raised."""

    def work(number: int) -> None:
        try:
            run(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, (0, 1)))


@pytest.mark.parametrize("options", [{"group": 1}, {"group": 10}, {"batch": 10}])
def test_a_deadlock_costs_no_attempt_and_both_are_done(options: dict[str, int]) -> None:
    accounts = [Account.objects.create().pk for _ in range(2)]
    both_hold_one = threading.Barrier(2, timeout=30)
    runs: Counter[int] = Counter()

    def lock_crosswise(event: Rang) -> None:
        first, second = accounts if event.number < 10 else reversed(accounts)
        runs[event.number] += 1
        Account.objects.select_for_update().get(pk=first)
        if event.number in (0, 10) and runs[event.number] == 1:
            both_hold_one.wait()
        Account.objects.select_for_update().get(pk=second)
        Effect.objects.create(subscriber="crosswise", number=event.number)

    def call(events: Rang | list[Rang]) -> None:
        for event in events if isinstance(events, list) else [events]:
            lock_crosswise(event)

    with only(None, call, **options) as subscription:
        given = arrivals(*["calm"] * 20)
        halves = [given[:1], given[10:11]] if options == {"group": 1} else [given[:10], given[10:]]
        in_two_threads(lambda half: process(subscription, halves[half]))
    numbers = sorted(arrival.envelope.data["number"] for half in halves for arrival in half)
    assert sorted(Effect.objects.values_list("number", flat=True)) == numbers
    assert runs[0] + runs[10] >= 3, "one of them lost the deadlock and ran again"
    assert set(Delivery.objects.values_list("state", "attempts")) == {("done", 1)}
    assert not Attempt.objects.exists()


def test_a_serialization_failure_costs_no_attempt_and_both_are_done() -> None:
    account = Account.objects.create().pk
    both_have_read = threading.Barrier(2, timeout=30)
    runs: Counter[int] = Counter()

    def read_and_write(event: Rang) -> None:
        runs[event.number] += 1
        balance = Account.objects.get(pk=account).balance
        if runs[event.number] == 1:
            both_have_read.wait()
        Account.objects.filter(pk=account).update(balance=balance + 1)

    def run(half: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_isolation = 'repeatable read'")
        try:
            process(subscription, given[half : half + 1])
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET default_transaction_isolation")

    with only(None, read_and_write) as subscription:
        given = arrivals("calm", "calm")
        in_two_threads(run)
    assert Account.objects.get().balance == 2
    assert sum(runs.values()) == 3
    assert set(Delivery.objects.values_list("state", "attempts")) == {("done", 1)}


def test_workers_that_get_the_same_events_in_different_order_do_not_wait_in_a_circle() -> None:
    def count(event: Rang) -> None:
        Effect.objects.create(subscriber="both", number=event.number)

    with only(None, count) as subscription:
        given = arrivals(*["calm"] * 50)
        orders = [given, given[::-1]]
        in_two_threads(lambda number: process(subscription, orders[number]))
    assert sorted(Effect.objects.values_list("number", flat=True)) == list(range(50))
    assert set(Delivery.objects.values_list("state", "attempts")) == {("done", 1)}
