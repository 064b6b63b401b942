"""Last seen: the times are written in the process's pool, and no request waits for them."""

import datetime as dt
import threading

import pytest
from django.utils import timezone

from events.pool import TaskPool
from feeds.home_feed import last_seen
from feeds.models import User
from tests.support.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

AN_HOUR = dt.timedelta(hours=1)


def last_seen_at(user):
    return User.objects.get(pk=user.pk).last_seen_at


@pytest.fixture
def pool(monkeypatch):
    """A pool of one slot instead of the process's pool."""
    with TaskPool(1) as own:
        monkeypatch.setattr(last_seen, "get_pool", lambda: own)
        yield own


def test_the_time_is_written_by_a_task_of_the_pool(pool):
    before = timezone.now()
    user = UserFactory(last_seen_at=before - AN_HOUR)
    last_seen.mark_seen(user)
    assert pool.close(20)
    assert pool.stats().completed == 1
    assert last_seen_at(user) >= before


def test_a_full_pool_is_not_waited_for_and_the_next_request_notes_the_time(pool):
    before, opened = timezone.now(), threading.Event()
    user = UserFactory(last_seen_at=before - AN_HOUR)
    running = pool.submit(opened.wait)
    last_seen.mark_seen(user)
    opened.set()
    running.result(20)
    assert pool.stats().rejected == 1
    assert last_seen_at(user) == before - AN_HOUR
    again = User.objects.get(pk=user.pk)
    last_seen.mark_seen(again)
    assert pool.close(20)
    assert last_seen_at(user) >= before


def test_a_closed_pool_fails_no_request(pool):
    user = UserFactory(last_seen_at=timezone.now() - AN_HOUR)
    pool.close(20)
    last_seen.mark_seen(user)


def test_a_request_of_one_who_was_here_just_now_costs_nothing(pool, django_assert_num_queries):
    user = UserFactory()
    with django_assert_num_queries(0):
        last_seen.mark_seen(user)
    assert pool.stats().submitted == 0
