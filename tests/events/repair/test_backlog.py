"""Backlog: how far each subscription is behind, as a full count says it, in a bounded time."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import events.repair.backlog
from events.models import Delivery, StoredEvent, Straggler, Subscription
from events.repair.announce import announce
from events.repair.backlog import Backlog, backlogs
from events.repair.dead_letters import dead_letters, requeue
from events.repair.missing import SubscriberCheck
from events.repair.replay import events_for, replay
from events.testing import deliver
from tests.support.effects import ring
from tests.support.history import History
from tests.support.own_subscribers import own_subscribers

pytestmark = pytest.mark.django_db

MOODY, WALK = "effects.moody", "effects.walk"


def backlog(name: str = MOODY) -> Backlog:
    return next(one for one in backlogs() if one.name == name)


def check(name: str = MOODY) -> None:
    """One check of reconcile without patience, while the queue is idle."""
    now = dt.datetime.now(dt.UTC)
    row, end = Subscription.objects.get(name=name), StoredEvent.objects.newest()
    seeing = SubscriberCheck(row, stable_offset=end, now=now, patience=dt.timedelta(0), idle=[now])
    seeing.fill_watchlist()
    seeing.heal_lost()


def age_log(**by: int) -> None:
    for event in StoredEvent.objects.all():
        StoredEvent.objects.filter(pk=event.pk).update(time=event.time - dt.timedelta(**by))


# The full count -----------------------------------------------------------------------------------------------------


def compare(seed: int, *, steps: int) -> History:
    """After every step the backlog of each subscriber is that of a full count."""
    with own_subscribers():
        history = History(seed)
        for _ in range(steps):
            history.step()
            found = backlogs()
            assert {one.name: one.behind for one in found} == history.full_counts(), (seed, history.said)
            assert all(one.is_exact and one.estimate == one.behind for one in found)
            for one in found:
                rows = Delivery.objects.filter(subscriber=one.name)
                counted = (rows.filter(state="retrying").count(), rows.filter(state="dead").count())
                assert (one.retrying, one.dead) == counted
                assert (one.oldest_age is None) == (one.behind == 0)
        return history


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_the_backlog_is_that_of_a_full_count(seed: int) -> None:
    compare(seed, steps=50)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_whatever_happens_for_long_the_backlog_is_that_of_a_full_count(seed: int) -> None:
    compare(seed, steps=150)


# The bounds ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a log of millions, at a thousandth of the size."""
    monkeypatch.setattr(events.repair.backlog, "COUNTED_AT_MOST", 10)
    monkeypatch.setattr(events.repair.backlog, "LINES_AT_MOST", 15)
    monkeypatch.setattr(events.repair.backlog, "LINES_PER_STATEMENT", 5)
    monkeypatch.setattr(events.repair.backlog, "NEWEST_LINES", 3)


def counted(name: str = MOODY) -> tuple[int, bool, int]:
    one = backlog(name)
    return one.behind, one.is_exact, one.estimate


def test_up_to_the_limit_a_backlog_is_exact_and_beyond_it_a_lower_bound_with_an_estimate(small_bounds: None) -> None:
    announce()
    ring(10)
    assert counted() == (10, True, 10)
    ring(1)
    assert counted() == (10, False, 11)
    ring(89)
    behind, is_exact, estimate = counted()
    assert (behind, is_exact) == (10, False)
    assert 90 <= estimate <= 110
    assert counted(WALK) == (0, True, 0)
    check()
    assert counted() == (10, False, 100), "all are watched now"


def test_what_is_too_seldom_for_a_sample_is_estimated_from_what_was_read(
    small_bounds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events.repair.backlog, "SAMPLE", 2)
    ring(1)
    Subscription.objects.all().delete()
    announce()
    ring(100)
    behind, is_exact, estimate = counted()
    assert (behind, is_exact) == (10, False)
    assert 90 <= estimate <= 110


def test_without_reconcile_a_backlog_behind_many_outcomes_is_a_lower_bound(small_bounds: None) -> None:
    announce()
    ring(40)
    deliver()
    ring(2)
    behind, is_exact, _ = counted()
    assert (behind, is_exact) == (2, False)
    check()
    check()
    assert counted() == (2, True, 2)


def test_an_idle_subscription_costs_no_statement_of_its_own() -> None:
    announce()
    ring(3)
    deliver()
    for name in Subscription.objects.values_list("name", flat=True):
        Subscription.objects.filter(name=name).update(accounted=StoredEvent.objects.newest())
    with CaptureQueriesContext(connection) as one:
        assert len(backlogs()) > 10
    assert len(one) <= 7  # two of them ask for the partitions


def test_a_watched_delivery_without_its_event_is_not_behind() -> None:
    announce()
    ring(2)
    check()
    StoredEvent.objects.filter(pk=StoredEvent.objects.newest()).delete()
    assert Straggler.objects.filter(subscriber=MOODY).count() == 2
    assert counted() == (1, True, 1)


# The age ------------------------------------------------------------------------------------------------------------


def age(name: str = MOODY) -> float | None:
    """The oldest age in whole minutes."""
    seconds = backlog(name).oldest_age
    return seconds and seconds // 60


def test_an_event_is_as_old_as_its_emission_whether_it_is_in_the_log_watched_or_retried() -> None:
    announce()
    assert age() is None
    ring(1)
    age_log(minutes=90)
    ring(1, start=1)
    assert age() == 90
    check()
    assert age() == 90, "watched"
    first = StoredEvent.objects.earliest("sequence").event_id
    Straggler.objects.filter(event_id=first).delete()
    row = Delivery.objects.create(event_id=first, subscriber=MOODY, state="retrying", attempts=2)
    assert age() == 90, "retried"
    row.state = "dead"
    row.save()
    assert age() == 0


def test_an_event_with_a_delay_is_no_older_than_its_due_time() -> None:
    announce()
    ring(1, delay=dt.timedelta(hours=2))
    age_log(minutes=90)
    assert (backlog().behind, backlog().oldest_age) == (1, 0.0)
    check()
    assert (backlog().behind, backlog().oldest_age) == (1, 0.0)
    watched = Straggler.objects.get(subscriber=MOODY)
    watched.owed_since -= dt.timedelta(hours=3)
    watched.save()
    assert age() == 60


def test_what_was_requeued_or_replayed_is_as_old_as_that_decision() -> None:
    announce()
    ring(1, mood="hopeless")
    deliver()
    check()
    age_log(minutes=90)
    assert age() is None
    requeue(dead_letters(subscriber=MOODY))
    assert (backlog().behind, age()) == (1, 0)
    check()
    assert (backlog().behind, age()) == (1, 0), "checked by reconcile"
    deliver()
    replay(MOODY, events_for(MOODY))
    assert (backlog().behind, age()) == (1, 0)
