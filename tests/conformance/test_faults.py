"""Faults: of connections, queues and processes. (The chaos suite does this for long.)"""

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from events.models import Delivery, OutboxMessage, Process
from events.subscription import subscriptions
from tests.conformance.case import PATIENCE, Case
from tests.conformance.events import Noted, Painted, Witnessed
from tests.conformance.models import Mark
from tests.conformance.processes import Manage
from tests.conformance.sizes import full, small


@pytest.mark.parametrize(("messages", "publishers"), [small(300, 6), full(10_000, 30)])
def test_broken_connections_lose_nothing(case: Case, messages: int, publishers: int) -> None:
    """Broken twice, each time in the middle of a half that is being published; where there is no server, the worker is
    replaced by a new one."""
    barrier = Barrier()
    listener = case.subscriber(does=barrier.pass_through, group=10)
    worker = case.open_worker()
    ids: list[uuid.UUID] = []
    half = messages // 2
    with ThreadPoolExecutor(1) as other:
        for start in (0, half):
            barrier.close_after(start + half // 2)
            notes = case.notes_of(half, lines=publishers, start=start)
            publishing = other.submit(case.publish, notes, publishers=publishers, together=5)
            assert barrier.closed.acquire(timeout=600)
            if case.features.server:
                case.candidate.break_connections()
                barrier.open.set()
            else:
                barrier.open.set()
                worker.stop()
                worker = case.open_worker()
            ids += publishing.result(900)
    try:
        case.expect(listener, ids)
    finally:
        worker.stop()
    if case.features.server:
        assert case.counts().again > 0, "nothing was in hand when the connections broke"


class Barrier:
    """Lets messages through and closes once, so that the next ones are in hand until it is opened again."""

    def __init__(self) -> None:
        self.open, self.closed = threading.Event(), threading.Semaphore(0)
        self.open.set()
        self._passed, self._counting = 0, threading.Lock()
        self._limit = 0

    def close_after(self, number: int) -> None:
        """Close when this many messages have come, those before counted."""
        with self._counting:
            self._limit = number

    def pass_through(self, event: Noted) -> None:
        with self._counting:
            self._passed += 1
            if 0 < self._limit <= self._passed:
                self._limit = 0  # a worker that ends must not meet it closed a second time
                self.open.clear()
                self.closed.release()
        assert self.open.wait(PATIENCE)


def test_a_queue_that_was_removed_is_made_again_and_nothing_published_later_is_lost(case: Case) -> None:
    case.requires("server")
    listener = case.subscriber()
    case.worker_until_the_end()
    ids = case.emit(case.notes_of(10))
    case.expect(listener, ids)
    case.candidate.delete_queue(case.namespace, listener.queue)
    ids += case.emit(case.notes_of(10, start=10))
    case.expect(listener, ids)


def test_what_the_broker_refuses_stays_in_the_outbox(case: Case) -> None:
    """A quorum queue takes bursts beyond its limit, so the limit is reached first, and some more may be taken. What was
    published beside the refused ones arrives; they wait for their own subscriber."""
    case.requires("server")
    release = threading.Event()

    def hold(event: Noted) -> None:
        assert release.wait(PATIENCE)

    listener = case.subscriber(does=hold, group=1)
    other = case.subscriber(Painted, name="other")
    case.candidate.refuse_more_than(5, queue=listener.queue)
    try:
        case.worker_until_the_end(threads=1, only=[listener])
        case.worker_until_the_end(threads=1, only=[other])
        ids = case.emit(case.notes_of(20))
        case.eventually(lambda: case.candidate.waiting(case.namespace, listener.queue) >= 5)
        *more, beside = case.emit([*case.notes_of(80, start=20), Painted(number=0)])
        case.eventually(lambda: case.effects(other))
        assert set(OutboxMessage.objects.values_list("subscriber", flat=True)) <= {"", listener.name}
        assert OutboxMessage.objects.exists()
    finally:
        case.candidate.refuse_nothing()
        release.set()
    case.expect(listener, ids + more)
    case.expect(other, [beside])


@pytest.fixture
def workers(case: Case, manage: Manage) -> Iterator[Manage]:
    """Starts worker processes on the broker under test."""
    yield manage
    manage.stop()
    case.candidate.clean(case.namespace, [f"{case.namespace}.{name}" for name in subscriptions])


def supervise(case: Case, workers: Manage, *, until: Callable[[], bool]) -> None:
    """Run a worker, which is started again whenever it ends, until what is hoped for has come and nothing is owed any
    more."""
    environment = case.candidate.environment(case.namespace) | {"AIRY_TEST_DELIVERY_LOG": str(case.delivery_log)}
    workers.worker(**environment)
    case.eventually(lambda: until() and not OutboxMessage.objects.exists(), within=240)


def all_final() -> bool:
    return Delivery.objects.exclude(state="retrying").count() == 41


def test_a_worker_killed_between_effect_and_acknowledgement_doubles_nothing(case: Case, workers: Manage) -> None:
    case.emit([Witnessed(number=number, text="last words" if number == 20 else "") for number in range(41)])
    supervise(case, workers, until=lambda: all_final() and case.counts().again > 0)
    assert sorted(Mark.objects.values_list("number", flat=True)) == list(range(41))


@pytest.mark.slow
def test_a_message_that_kills_its_worker_each_time_ends_as_a_dead_letter(case: Case, workers: Manage) -> None:
    case.emit([Witnessed(number=number, text="no words" if number == 20 else "") for number in range(41)])
    supervise(case, workers, until=all_final)
    dead = Delivery.objects.get(state="dead")
    assert "kills its worker" in dead.reason
    assert dead.attempts == subscriptions[dead.subscriber].max_retries + 1
    assert sorted(Mark.objects.values_list("number", flat=True)) == [*range(20), *range(21, 41)]


def test_of_two_worker_processes_one_is_killed_and_the_other_finishes(case: Case, workers: Manage) -> None:
    case.requires("competing", "persistent")
    environment = case.candidate.environment(case.namespace) | {"AIRY_TEST_DELIVERY_LOG": str(case.delivery_log)}
    first, _ = [workers.worker(threads=2, **environment) for _ in range(2)]
    case.eventually(lambda: Process.objects.alive().filter(kind="worker").count() == 2)
    count = 400
    case.emit([Witnessed(number=number, text="") for number in range(count)])
    case.eventually(lambda: Mark.objects.count() > count // 10)
    workers.kill(first)
    case.eventually(
        lambda: Delivery.objects.filter(state="done").count() == count and not OutboxMessage.objects.exists()
    )
    assert sorted(Mark.objects.values_list("number", flat=True)) == list(range(count))
