"""A slow group does not keep others waiting: it is cut into parts, each with a transaction of its own."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest
from django.db import connection

from events import pace
from events.inbox.delivery import process
from events.models import Delivery
from events.pace import OverBudgetError, Pace, Stopwatch
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.events.inbox.test_delivery import arrival
from tests.support.broker_case import only


@pytest.mark.django_db(transaction=True)
def test_a_slow_group_commits_in_parts_and_repeats_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "BUDGET", 0.5)
    calls, committed = 0, []

    def slow(event: Rang) -> None:
        nonlocal calls
        calls += 1
        committed.append(Delivery.objects.filter(state="done").count())
        Effect.objects.create(subscriber="slow", number=event.number)
        time.sleep(0.12)

    with only(None, slow) as subscription:
        process(subscription, [arrival(number) for number in range(20)])
    assert sorted(Effect.objects.values_list("number", flat=True)) == list(range(20))
    assert Delivery.objects.filter(state="done").count() == 20
    assert calls <= 20 + 6, "what did not fit into the budget ran twice, and no more than that"
    # Each call sees its own part, too. No part is larger than what fits into the budget.
    parts = sorted(set(committed[calls - 15 :]))
    assert max(b - a for a, b in itertools.pairwise(parts)) <= 4


@pytest.mark.django_db(transaction=True)
def test_a_fast_group_shares_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "BUDGET", 60.0)  # a busy machine is not a slow subscriber
    seen: set[int] = set()

    def fast(event: Rang) -> None:
        seen.add(Delivery.objects.filter(state="done").count())

    with only(None, fast) as subscription:
        for _ in range(3):
            process(subscription, [arrival(number) for number in range(50)])
    assert seen == {50, 100, 150}


def test_after_a_deadlock_events_run_one_by_one_for_a_while_and_longer_each_time(
    monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., None]
) -> None:
    monkeypatch.setattr(pace, "ALONE", (0.1, 0.4))
    own, pauses = Pace(), []
    for _ in range(3):
        began = time.monotonic()
        own.deadlocked()
        own.deadlocked()  # another group of the same circle
        assert own.fits(50) == 1
        eventually(lambda: own.fits(50) == 50)
        pauses.append(time.monotonic() - began)
    assert [pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True)] == [True] * 3


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_after_a_deadlock_of_its_group_a_subscriber_takes_single_events() -> None:
    def deadlock(event: Rang) -> None:
        if subscription.pace.fits(50) > 1:
            with connection.cursor() as cursor:
                cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$")
        Effect.objects.create(subscriber="deadlock", number=event.number)

    with only(None, deadlock) as subscription:
        process(subscription, [arrival(number) for number in range(5)])
        assert subscription.pace.fits(50) == 1
    assert sorted(Effect.objects.values_list("number", flat=True)) == list(range(5))


def test_the_pace_slows_down_at_once_and_gains_speed_step_by_step() -> None:
    own = Pace()
    assert own.fits(50) == 50
    own.learn(1.0)
    assert own.fits(50) == 1
    sizes = []
    for _ in range(12):
        own.learn(0.001)
        sizes.append(own.fits(50))
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (1, 50)


def test_the_last_event_of_a_part_and_one_alone_are_never_over_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "BUDGET", 0.0)
    stopwatch = Stopwatch(Pace())
    stopwatch.check(done=1, of=1)
    stopwatch.check(done=5, of=5)
    with pytest.raises(OverBudgetError):
        stopwatch.check(done=1, of=2)
