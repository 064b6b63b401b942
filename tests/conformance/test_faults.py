"""Faults: of connections, queues and processes. (The chaos suite does this for long.)"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from events.models import Delivery, OutboxMessage, Process
from events.subscription import subscriptions
from tests.conformance.events import Noted, Painted, Witnessed
from tests.conformance.models import Mark
from tests.conformance.rig import PATIENCE, Rig
from tests.conformance.sizes import full, small
from tests.conftest import Manage


@pytest.mark.parametrize(("messages", "publishers"), [small(600, 6), full(10_000, 30)])
def test_broken_connections_lose_nothing(rig: Rig, messages: int, publishers: int) -> None:
    """Broken at a third and at half of the way, with messages in hand; where there is no server, the workers are
    replaced by new ones."""
    barrier = Barrier(messages // 3, messages // 2)
    hearer = rig.subscriber(does=barrier.pass_through)
    workplace = rig.work()
    with ThreadPoolExecutor(2) as other:
        publishing = other.submit(
            rig.publish, rig.notes_of(messages, lines=publishers), publishers=publishers, together=5
        )
        for _ in barrier.closes_at:
            assert barrier.closed.acquire(timeout=600)
            if rig.features.server:
                rig.candidate.break_connections()
                barrier.open.set()
            else:
                stopping = other.submit(workplace.stop)  # it waits for the message in hand
                barrier.open.set()
                stopping.result(PATIENCE)
                workplace = rig.work()
        ids = publishing.result(900)
    try:
        rig.expect(hearer, ids)
    finally:
        workplace.stop()
    if rig.features.server:
        assert rig.figures().again > 0, "nothing was in hand when the connections broke"


class Barrier:
    """Lets messages through and closes before some of them, so that those are in hand until it is opened again."""

    def __init__(self, *closes_at: int) -> None:
        self.closes_at = closes_at
        self.open, self.closed = threading.Event(), threading.Semaphore(0)
        self.open.set()
        self._passed, self._counting = 0, threading.Lock()

    def pass_through(self, event: Noted) -> None:
        with self._counting:
            self._passed += 1
            if self._passed in self.closes_at:
                self.open.clear()
                self.closed.release()
        assert self.open.wait(PATIENCE)


def test_a_queue_that_was_removed_is_made_again_and_nothing_published_later_is_lost(rig: Rig) -> None:
    rig.requires("server")
    hearer = rig.subscriber()
    rig.worker_until_the_end()
    ids = rig.emit(rig.notes_of(10))
    rig.expect(hearer, ids)
    rig.candidate.delete_queue(rig.place, hearer.queue)
    ids += rig.emit(rig.notes_of(10, start=10))
    rig.expect(hearer, ids)


def test_what_the_broker_refuses_stays_in_the_outbox(rig: Rig) -> None:
    """A quorum queue takes a first burst beyond its limit, so the limit is reached first. What was published beside the
    refused ones arrives; its whole batch stays and is published again."""
    rig.requires("server")
    release = threading.Event()

    def hold(event: Noted) -> None:
        assert release.wait(PATIENCE)

    hearer = rig.subscriber(does=hold, group=1)
    other = rig.subscriber(Painted, name="other")
    rig.candidate.refuse_more_than(5, queue=hearer.queue)
    try:
        rig.worker_until_the_end(threads=1, only=[hearer])
        rig.worker_until_the_end(threads=1, only=[other])
        ids = rig.emit(rig.notes_of(20))
        rig.eventually(lambda: rig.candidate.waiting(rig.place, hearer.queue) >= 5)
        *more, beside = rig.emit([*rig.notes_of(80, start=20), Painted(number=0)])
        rig.eventually(lambda: rig.effects(other))
        assert OutboxMessage.objects.count() > 80
    finally:
        rig.candidate.refuse_nothing()
        release.set()
    rig.expect(hearer, ids + more)
    rig.expect(other, [beside])


@pytest.fixture
def workers(rig: Rig, manage: Manage) -> Iterator[Manage]:
    """Starts worker processes on the broker under test."""
    yield manage
    manage.stop()
    rig.candidate.clean(rig.place, [f"{rig.place}.{name}" for name in subscriptions])


def supervise(rig: Rig, workers: Manage, *, until: Callable[[], bool]) -> None:
    """Start a new worker whenever one has ended, until what is hoped for has come and nothing is owed any more."""
    environment = rig.candidate.environment(rig.place) | {"AIRY_TEST_TALLY": str(rig.tally)}
    worker = workers.worker(**environment)

    def done() -> bool:
        nonlocal worker
        if workers.has_ended(worker):  # what a supervisor does
            workers.kill(worker)
            worker = workers.worker(**environment)
        return until() and not OutboxMessage.objects.exists()

    rig.eventually(done, within=240)


def all_final() -> bool:
    return Delivery.objects.exclude(state="retrying").count() == 41


def test_a_worker_killed_between_effect_and_acknowledgement_doubles_nothing(rig: Rig, workers: Manage) -> None:
    rig.emit([Witnessed(number=number, text="last words" if number == 20 else "") for number in range(41)])
    supervise(rig, workers, until=lambda: all_final() and rig.figures().again > 0)
    assert sorted(Mark.objects.values_list("number", flat=True)) == list(range(41))


@pytest.mark.slow
def test_a_message_that_kills_its_worker_each_time_ends_as_a_dead_letter(rig: Rig, workers: Manage) -> None:
    rig.emit([Witnessed(number=number, text="no words" if number == 20 else "") for number in range(41)])
    supervise(rig, workers, until=all_final)
    dead = Delivery.objects.get(state="dead")
    assert "kills its worker" in dead.reason
    assert dead.attempts == subscriptions[dead.subscriber].max_retries + 1
    assert sorted(Mark.objects.values_list("number", flat=True)) == [*range(20), *range(21, 41)]


def test_of_two_worker_processes_one_is_killed_and_the_other_finishes(rig: Rig, workers: Manage) -> None:
    rig.requires("competing", "persistent")
    environment = rig.candidate.environment(rig.place) | {"AIRY_TEST_TALLY": str(rig.tally)}
    first, _ = [workers.worker(threads=2, **environment) for _ in range(2)]
    rig.eventually(lambda: Process.objects.alive().filter(kind="worker").count() == 2)
    count = 400
    rig.emit([Witnessed(number=number, text="") for number in range(count)])
    rig.eventually(lambda: Mark.objects.count() > count // 10)
    workers.kill(first)
    rig.eventually(
        lambda: Delivery.objects.filter(state="done").count() == count and not OutboxMessage.objects.exists()
    )
    assert sorted(Mark.objects.values_list("number", flat=True)) == list(range(count))
