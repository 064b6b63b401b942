"""Stop: workers come and go, and what waits stays."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from events.models import Attempt, Delivery
from events.pool import get_pool
from tests.conformance.case import PATIENCE, Rig
from tests.conformance.events import Noted
from tests.conformance.models import Mark
from tests.conformance.sizes import full, small


@pytest.mark.parametrize("messages", [small(250), full(5000)])
def test_workers_closed_and_opened_again_go_on_where_they_were(rig: Rig, messages: int) -> None:
    rig.requires("persistent")
    hearer = rig.subscriber()
    ids = rig.publish(rig.notes_of(messages, lines=5), publishers=5, together=20)
    for part in range(1, 5):
        with rig.work():
            rig.eventually(lambda part=part: Mark.objects.count() >= part * messages // 5, within=600)
    rig.worker_until_the_end()
    rig.expect(hearer, ids)


def test_ten_workers_opened_and_closed_at_once_leave_the_next_one_whole(rig: Rig) -> None:
    hearer = rig.subscriber()

    def come_and_go(_: int) -> None:
        with rig.work(threads=1):
            pass
        connections.close_all()

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(come_and_go, range(10)))
    rig.worker_until_the_end()
    rig.expect(hearer, rig.emit(rig.notes_of(50)))


@pytest.mark.parametrize(("messages", "publishers"), [small(300, 4), full(10_000, 20)])
def test_a_relay_closed_in_the_midst_of_publishing_loses_nothing(rig: Rig, messages: int, publishers: int) -> None:
    hearer = rig.subscriber()
    workplace = rig.worker_until_the_end()
    with ThreadPoolExecutor(1) as other:
        publishing = other.submit(
            rig.publish, rig.notes_of(messages, lines=publishers), publishers=publishers, together=5
        )
        for part in (1, 2, 3):
            rig.eventually(lambda part=part: Mark.objects.count() >= part * messages // 8, within=600)
            workplace.stop_relay()
            workplace.start_relay()
        ids = publishing.result(900)
    rig.expect(hearer, ids)


def test_what_a_closed_worker_gave_back_goes_to_the_next(rig: Rig) -> None:
    """The first worker ends while its handlers are stuck: twenty of twenty come to the second."""
    begun, release = threading.Semaphore(0), threading.Event()
    stuck = threading.Event()
    stuck.set()

    def hold(event: Noted) -> None:
        begun.release()
        if stuck.is_set():
            release.wait(PATIENCE)
            raise ValueError("given up")

    hearer = rig.subscriber(does=hold, group=1)
    ids = rig.emit(rig.notes_of(20))
    first = rig.work(threads=2)
    assert begun.acquire(timeout=PATIENCE)
    with ThreadPoolExecutor(1) as other:
        stopping = other.submit(first.stop)
        stuck.clear()
        release.set()
        stopping.result(PATIENCE)
    rig.worker_until_the_end()
    rig.expect(hearer, ids)


def test_a_worker_stopped_during_a_message_finishes_it(rig: Rig) -> None:
    begun, release = threading.Event(), threading.Event()

    def hold(event: Noted) -> None:
        if event.number == 0:
            begun.set()
            assert release.wait(PATIENCE)

    hearer = rig.subscriber(does=hold, group=1)
    workplace = rig.work(threads=1)
    ids = rig.emit(rig.notes_of(10))
    assert begun.wait(PATIENCE)
    with ThreadPoolExecutor(1) as other:
        stopping = other.submit(workplace.stop)
        release.set()
        stopping.result(PATIENCE)
    assert Delivery.objects.filter(event_id=ids[0], state="done").exists()
    rig.worker_until_the_end()
    rig.expect(hearer, ids)
    assert sum(attempt.number for attempt in Attempt.objects.all()) == 0


class SlowToTell(Exception):
    """An error whose text is asked for while its failure is being recorded; the telling waits."""

    def __init__(self) -> None:
        self.asked, self.told = threading.Event(), threading.Event()

    def __str__(self) -> str:
        self.asked.set()
        assert self.told.wait(PATIENCE)
        return "told at last"


def test_a_worker_stopped_while_it_records_a_failure_records_it(rig: Rig) -> None:
    error = SlowToTell()

    def fail_once(event: Noted) -> None:
        if event.meta.attempt == 1:
            raise error

    hearer = rig.subscriber(does=fail_once)
    workplace = rig.work(threads=1)
    ids = rig.emit(rig.notes_of(1))
    assert error.asked.wait(PATIENCE)
    with ThreadPoolExecutor(1) as other:
        stopping = other.submit(workplace.stop)
        error.told.set()
        stopping.result(PATIENCE)
    assert Attempt.objects.get().error.endswith("told at last")
    rig.worker_until_the_end()
    rig.expect(hearer, ids)
    assert Mark.objects.get().attempt == 2


def test_a_worker_started_again_after_its_stop_works_on(rig: Rig) -> None:
    hearer = rig.subscriber()
    ids = []
    for turn in range(3):
        with rig.work():
            ids += rig.emit(rig.notes_of(10, start=10 * turn))
            rig.expect(hearer, ids)
        ids += rig.emit(rig.notes_of(10, start=1000 + 10 * turn))
    rig.worker_until_the_end()
    rig.expect(hearer, ids)


def test_the_number_of_running_deliveries_follows_the_pool_while_it_runs(rig: Rig) -> None:
    counting = threading.Lock()
    release = threading.Semaphore(0)
    running = 0

    def hold(event: Noted) -> None:
        nonlocal running
        with counting:
            running += 1
        assert release.acquire(timeout=PATIENCE)
        with counting:
            running -= 1

    pool = get_pool()
    size = pool.stats().capacity
    hearer = rig.subscriber(does=hold, atomic=False)  # SQLite runs transactions one by one
    pool.resize(6)
    try:
        rig.worker_until_the_end(threads=8)
        ids = rig.emit(rig.notes_of(24))
        rig.eventually(lambda: running == 6 and pool.stats().waiting >= 1)
        pool.resize(1)
        release.release(6)
        rig.eventually(lambda: running == 1 and Mark.objects.count() >= 6)
        pool.resize(4)
        rig.eventually(lambda: running == 4)
        release.release(100)
        rig.expect(hearer, ids)
    finally:
        release.release(100)
        pool.resize(size)
