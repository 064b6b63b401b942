"""Stop: workers come and go, and what waits stays."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from events.models import Attempt, Delivery
from events.pool import get_pool
from tests.conformance.case import PATIENCE, Case
from tests.conformance.events import Noted
from tests.conformance.models import Mark
from tests.conformance.sizes import full, small


@pytest.mark.parametrize("messages", [small(250), full(5000)])
def test_workers_closed_and_opened_again_go_on_where_they_were(case: Case, messages: int) -> None:
    case.requires("persistent")
    listener = case.subscriber()
    ids = case.publish(case.notes_of(messages, lines=5), publishers=5, together=20)
    for part in range(1, 5):
        with case.open_worker():
            case.eventually(lambda part=part: Mark.objects.count() >= part * messages // 5, within=600)
    case.worker_until_the_end()
    case.expect(listener, ids)


def test_ten_workers_opened_and_closed_at_once_leave_the_next_one_whole(case: Case) -> None:
    listener = case.subscriber()

    def come_and_go(_: int) -> None:
        with case.open_worker(threads=1):
            pass
        connections.close_all()

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(come_and_go, range(10)))
    case.worker_until_the_end()
    case.expect(listener, case.emit(case.notes_of(50)))


@pytest.mark.parametrize(("messages", "publishers"), [small(300, 4), full(10_000, 20)])
def test_a_relay_closed_in_the_midst_of_publishing_loses_nothing(case: Case, messages: int, publishers: int) -> None:
    listener = case.subscriber()
    worker = case.worker_until_the_end()
    with ThreadPoolExecutor(1) as other:
        publishing = other.submit(
            case.publish, case.notes_of(messages, lines=publishers), publishers=publishers, together=5
        )
        for part in (1, 2, 3):
            case.eventually(lambda part=part: Mark.objects.count() >= part * messages // 8, within=600)
            worker.stop_relay()
            worker.start_relay()
        ids = publishing.result(900)
    case.expect(listener, ids)


def test_what_a_closed_worker_gave_back_goes_to_the_next(case: Case) -> None:
    """The first worker ends while its handlers are stuck: twenty of twenty come to the second."""
    begun, release = threading.Semaphore(0), threading.Event()
    stuck = threading.Event()
    stuck.set()

    def hold(event: Noted) -> None:
        begun.release()
        if stuck.is_set():
            release.wait(PATIENCE)
            raise ValueError("given up")

    listener = case.subscriber(does=hold, group=1)
    ids = case.emit(case.notes_of(20))
    first = case.open_worker(threads=2)
    assert begun.acquire(timeout=PATIENCE)
    with ThreadPoolExecutor(1) as other:
        stopping = other.submit(first.stop)
        stuck.clear()
        release.set()
        stopping.result(PATIENCE)
    case.worker_until_the_end()
    case.expect(listener, ids)


def test_a_worker_stopped_during_a_message_finishes_it(case: Case) -> None:
    begun, release = threading.Event(), threading.Event()

    def hold(event: Noted) -> None:
        if event.number == 0:
            begun.set()
            assert release.wait(PATIENCE)

    listener = case.subscriber(does=hold, group=1)
    worker = case.open_worker(threads=1)
    ids = case.emit(case.notes_of(10))
    assert begun.wait(PATIENCE)
    with ThreadPoolExecutor(1) as other:
        stopping = other.submit(worker.stop)
        release.set()
        stopping.result(PATIENCE)
    assert Delivery.objects.filter(event_id=ids[0], state="done").exists()
    case.worker_until_the_end()
    case.expect(listener, ids)
    assert sum(attempt.number for attempt in Attempt.objects.all()) == 0


class SlowTextError(Exception):
    """An error whose text is asked for while its failure is being recorded; the telling waits."""

    def __init__(self) -> None:
        self.requested, self.released = threading.Event(), threading.Event()

    def __str__(self) -> str:
        self.requested.set()
        assert self.released.wait(PATIENCE)
        return "read at last"


def test_a_worker_stopped_while_it_records_a_failure_records_it(case: Case) -> None:
    error = SlowTextError()

    def fail_once(event: Noted) -> None:
        if event.meta.attempt == 1:
            raise error

    listener = case.subscriber(does=fail_once)
    worker = case.open_worker(threads=1)
    ids = case.emit(case.notes_of(1))
    assert error.requested.wait(PATIENCE)
    with ThreadPoolExecutor(1) as other:
        stopping = other.submit(worker.stop)
        error.released.set()
        stopping.result(PATIENCE)
    assert Attempt.objects.get().error.endswith("read at last")
    case.worker_until_the_end()
    case.expect(listener, ids)
    assert Mark.objects.get().attempt == 2


def test_a_worker_started_again_after_its_stop_works_on(case: Case) -> None:
    listener = case.subscriber()
    ids = []
    for turn in range(3):
        with case.open_worker():
            ids += case.emit(case.notes_of(10, start=10 * turn))
            case.expect(listener, ids)
        ids += case.emit(case.notes_of(10, start=1000 + 10 * turn))
    case.worker_until_the_end()
    case.expect(listener, ids)


def test_the_number_of_running_deliveries_follows_the_pool_while_it_runs(case: Case) -> None:
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
    # SQLite runs transactions one by one.
    listener = case.subscriber(does=hold, atomic=False, concurrency=8)
    pool.resize(6)
    try:
        case.worker_until_the_end(threads=8)
        ids = case.emit(case.notes_of(24))
        case.eventually(lambda: running == 6 and pool.stats().waiting >= 1)
        pool.resize(1)
        release.release(6)
        case.eventually(lambda: running == 1 and Mark.objects.count() >= 6)
        pool.resize(4)
        case.eventually(lambda: running == 4)
        release.release(100)
        case.expect(listener, ids)
    finally:
        release.release(100)
        pool.resize(size)
