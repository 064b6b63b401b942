"""The heartbeat: who lives, with what figures, and whose row goes."""

import datetime as dt
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from events.models import Process
from events.pool import TaskPool
from events.worker import heartbeat
from events.worker.heartbeat import arrive, beat, leave
from tests.conformance.processes import Manage

Eventually = Callable[..., None]


def row(*, ago: dt.timedelta, **fields: object) -> Process:
    """A process that wrote so long ago."""
    name = {"kind": "worker", "host": "elsewhere", "pid": 7} | fields
    return Process.objects.create(beat_at=timezone.now() - ago, **name)


@pytest.mark.django_db
def test_a_beat_carries_the_figures_of_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    with TaskPool(4) as pool:
        monkeypatch.setattr(heartbeat, "get_pool", lambda: pool)
        pool.run(beat, "worker", relay_active=True)
        figures = Process.objects.get().figures
    assert figures["relay_active"] is True
    assert (figures["pool"]["running"], figures["pool"]["free"], figures["pool"]["capacity"]) == (1, 3, 4)
    assert figures["pool"].keys() == asdict(pool.stats()).keys()


@pytest.mark.django_db
def test_a_beat_takes_few_statements(django_assert_max_num_queries: Callable) -> None:
    beat("worker")
    with django_assert_max_num_queries(5):  # a locked read and a write, in a transaction
        beat("worker")


@pytest.mark.django_db
def test_who_arrives_clears_away_the_long_dead_and_leaves_those_who_fell_silent_lately(
    django_assert_num_queries: Callable,
) -> None:
    for day in range(1, 4):
        row(ago=dt.timedelta(days=day, minutes=1), pid=day)
    lately, alive = row(ago=dt.timedelta(hours=23), pid=10), row(ago=dt.timedelta(seconds=1), pid=11)
    with django_assert_num_queries(1):
        arrive("worker")
    assert set(Process.objects.all()) == {lately, alive}


@pytest.mark.django_db
def test_who_bears_the_name_of_an_earlier_process_begins_anew() -> None:
    """A container has the same host name and number each time."""
    row(
        ago=dt.timedelta(hours=1),
        host=socket.gethostname(),
        pid=os.getpid(),
        started_at=timezone.now() - dt.timedelta(days=3),
    )
    arrive("worker")
    beat("worker")
    assert timezone.now() - Process.objects.get().started_at < dt.timedelta(minutes=1)


@pytest.mark.django_db
def test_who_leaves_takes_its_own_row_along() -> None:
    other = row(ago=dt.timedelta())
    beat("worker")
    beat("relay")
    leave("worker")
    assert set(Process.objects.values_list("kind", "host")) == {("relay", socket.gethostname()), ("worker", other.host)}


@pytest.mark.django_db
def test_silent_is_who_missed_three_beats_by_the_databases_clock() -> None:
    fresh, silent = row(ago=dt.timedelta(), pid=1), row(ago=dt.timedelta(), pid=2)
    Process.objects.filter(pk=fresh.pk).update(beat_at=Now() - dt.timedelta(seconds=10))
    Process.objects.filter(pk=silent.pk).update(beat_at=Now() - dt.timedelta(seconds=16))
    assert dict(Process.objects.with_silence().values_list("pk", "silent")) == {fresh.pk: False, silent.pk: True}
    assert list(Process.objects.alive()) == [fresh]


def test_a_worker_stopped_in_order_leaves_no_row_and_one_that_is_killed_does(
    manage: Manage, eventually: Eventually
) -> None:
    killed = manage.worker()
    eventually(lambda: Process.objects.count() == 1, within=60)
    manage.kill(killed)
    assert Process.objects.count() == 1
    ended = manage.worker()
    eventually(lambda: Process.objects.count() == 2, within=60)
    ended.send_signal(signal.SIGTERM)
    assert ended.wait(60) == 0
    assert Process.objects.count() == 1
