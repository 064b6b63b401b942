"""The heartbeat: who lives, with what figures, and whose row goes."""

import datetime as dt
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import asdict

import dramatiq
import psycopg
import pytest
from django.db.models.functions import Now
from django.utils import timezone

from events.models import Process
from events.pool import TaskPool
from events.worker import heartbeat
from events.worker.busy import busy_figures, running
from events.worker.heartbeat import Pulse
from tests.conformance.processes import Manage, database_url
from tests.support.effects import all_done, ring
from tests.support.sessions import end_all_sessions

Eventually = Callable[..., None]


def row(*, ago: dt.timedelta, **fields: object) -> Process:
    """A process that wrote so long ago."""
    name = {"kind": "worker", "host": "elsewhere", "pid": 7} | fields
    return Process.objects.create(beat_at=timezone.now() - ago, **name)


@pytest.mark.django_db
def test_a_beat_carries_the_figures_of_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = Pulse("worker", figures=lambda: {"relay_active": True})
    with TaskPool(4) as pool:
        monkeypatch.setattr(heartbeat, "get_pool", lambda: pool)
        pool.run(pulse.beat)
        figures = Process.objects.get().figures
    assert figures["relay_active"] is True
    assert (figures["pool"]["running"], figures["pool"]["free"], figures["pool"]["capacity"]) == (1, 3, 4)
    assert figures["pool"].keys() == asdict(pool.stats()).keys()


@pytest.mark.django_db
def test_a_beat_is_one_statement(django_assert_num_queries: Callable) -> None:
    pulse = Pulse("worker")
    pulse.beat()
    with django_assert_num_queries(1):
        pulse.beat()


@pytest.mark.django_db
def test_who_arrives_clears_away_the_long_dead_and_leaves_those_who_fell_silent_lately() -> None:
    for day in range(1, 4):
        row(ago=dt.timedelta(days=day, minutes=1), pid=day)
    lately, alive = row(ago=dt.timedelta(hours=23), pid=10), row(ago=dt.timedelta(seconds=1), pid=11)
    Pulse("worker").beat()
    assert set(Process.objects.exclude(host=socket.gethostname())) == {lately, alive}


@pytest.mark.django_db
def test_who_bears_the_name_of_an_earlier_process_begins_anew() -> None:
    """A container has the same host name and number each time."""
    row(
        ago=dt.timedelta(hours=1),
        host=socket.gethostname(),
        pid=os.getpid(),
        started_at=timezone.now() - dt.timedelta(days=3),
    )
    Pulse("worker").beat()
    assert timezone.now() - Process.objects.get().started_at < dt.timedelta(minutes=1)


@pytest.mark.django_db
def test_who_leaves_takes_its_own_row_along() -> None:
    other = row(ago=dt.timedelta())
    worker, relay = Pulse("worker"), Pulse("relay")
    worker.beat()
    relay.beat()
    worker.leave()
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
    """The relay's process, which a broker at a server has, is like a worker here."""
    kinds = 1 if dramatiq.get_broker().in_process else 2
    killed = manage.worker()
    eventually(lambda: Process.objects.count() == kinds, within=60)
    manage.kill(killed)
    assert Process.objects.count() == kinds
    ended = manage.worker()
    eventually(lambda: Process.objects.count() == 2 * kinds, within=60)
    ended.send_signal(signal.SIGTERM)
    assert ended.wait(60) == 0
    assert Process.objects.count() == kinds


def test_a_worker_says_how_many_threads_are_busy_and_what_they_run() -> None:
    assert busy_figures(8) == {"threads": 8, "busy": 0, "runs": []}
    entered, released = threading.Event(), threading.Event()

    def work() -> None:
        with running("shop.reserve_stock"):
            entered.set()
            released.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert entered.wait(30)
        found = busy_figures(8)
    finally:
        released.set()
        thread.join()
    assert (found["busy"], found["runs"][0]["subscriber"]) == (1, "shop.reserve_stock")
    assert dt.datetime.fromisoformat(found["runs"][0]["since"]) <= timezone.now()
    assert busy_figures(8)["busy"] == 0


@pytest.mark.postgres
@pytest.mark.rabbitmq
def test_the_next_beat_after_a_restart_of_the_database_is_written(manage: Manage, eventually: Eventually) -> None:
    """Though each thread of the worker has left a session in the pool that is stale now."""
    manage.worker(threads=8, LOG_LEVEL="WARNING")
    eventually(lambda: Process.objects.count() == 2, within=60)
    ring(100)
    eventually(lambda: all_done(100), within=60)
    names = set(Process.objects.values_list("kind", "pid"))
    with psycopg.connect(database_url()) as session:
        named = session.execute("SELECT application_name FROM pg_stat_activity WHERE datname = current_database()")
        assert {f"airy {kind} {pid}" for kind, pid in names} <= {name for (name,) in named}
    assert end_all_sessions() > 4
    since = timezone.now()
    eventually(lambda: Process.objects.filter(beat_at__gt=since).count() == 2, within=12)
    assert manage.log().count("heartbeat missed") <= 2
    assert set(Process.objects.values_list("kind", "pid")) == names
