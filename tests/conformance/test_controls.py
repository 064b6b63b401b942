"""Controls: an operator pauses a subscriber, resumes it and changes its concurrency, while workers run."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from events.models import Attempt, Delivery
from events.repair.controls import pause, resume, set_concurrency
from tests.conformance.case import PATIENCE, Case
from tests.conformance.events import Noted

OPERATOR = "an operator"


class Gate:
    """Holds who passes until it is opened, and knows them."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.standing: list[int] = []
        self.passed: list[int] = []

    def pass_through(self, event: Noted) -> None:
        self.standing.append(event.number)
        assert self.open.wait(PATIENCE)
        self.standing.remove(event.number)
        self.passed.append(event.number)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def test_a_paused_subscriber_gets_nothing_and_the_others_go_on_until_it_is_resumed(case: Case) -> None:
    paused, other = case.subscriber(name="paused"), case.subscriber(name="other")
    worker = case.worker_until_the_end(threads=4)
    first = case.emit(case.notes_of(20))
    case.wait_for_effects(paused, 20)
    pause(paused.name, by=OPERATOR, reason="it does harm")
    case.eventually(lambda: worker.broker.share.control_of(paused.name).paused)
    more = case.emit(case.notes_of(300, start=20))
    case.wait_for_effects(other, 320)
    assert Delivery.objects.filter(subscriber=paused.name).count() == 20
    if case.features.server:  # a worker holds nothing back, which a server would take from it after 30 minutes
        topology = worker.broker.topology
        assert topology
        case.eventually(lambda: (topology.sizes([paused.queue])[paused.queue] or (0, 1))[:2] == (300, 0))
    assert resume(paused.name, by=OPERATOR)
    case.expect(paused, first + more)
    case.expect(other, first + more)
    assert not Delivery.objects.exclude(attempts=1).exists()
    assert not Attempt.objects.exists()
    assert not resume(paused.name, by=OPERATOR)


def test_a_pause_holds_over_a_restart_of_the_workers(case: Case) -> None:
    paused, other = case.subscriber(name="paused"), case.subscriber(name="other")
    with case.open_worker():
        case.wait_for_effects(other, len(first := case.emit(case.notes_of(10))))
        case.wait_for_effects(paused, 10)
        pause(paused.name, by=OPERATOR)
    more = case.emit(case.notes_of(50, start=10))
    case.worker_until_the_end()
    case.wait_for_effects(other, 60)
    assert Delivery.objects.filter(subscriber=paused.name).count() == 10
    resume(paused.name, by=OPERATOR)
    case.expect(paused, first + more)


def test_what_runs_as_it_is_paused_ends_and_the_rest_of_its_messages_waits(case: Case, gate: Gate) -> None:
    paused = case.subscriber(name="paused", does=gate.pass_through, atomic=False)
    worker = case.worker_until_the_end(threads=4)
    ids = case.emit(case.notes_of(60))
    case.eventually(lambda: gate.standing)
    pause(paused.name, by=OPERATOR)
    case.eventually(lambda: worker.broker.share.control_of(paused.name).paused)
    running = len(gate.standing)
    gate.open.set()
    case.eventually(lambda: not gate.standing)
    case.eventually(lambda: not worker.broker.share.of(paused).in_hand)
    assert running <= len(gate.passed) <= running + 1
    resume(paused.name, by=OPERATOR)
    case.expect(paused, ids)
    assert not Attempt.objects.exists()


def test_the_concurrency_is_changed_while_it_runs_and_set_back(case: Case, gate: Gate) -> None:
    slow = case.subscriber(name="slow", does=gate.pass_through, atomic=False, concurrency=1)
    worker = case.worker_until_the_end(threads=6)
    ids = case.emit(case.notes_of(20))
    case.eventually(lambda: len(gate.standing) == 1)
    set_concurrency(slow.name, 3, by=OPERATOR)
    case.eventually(lambda: len(gate.standing) == 3)
    set_concurrency(slow.name, None, by=OPERATOR)
    case.eventually(lambda: worker.broker.share.control_of(slow.name).concurrency is None)
    gate.open.set()
    case.expect(slow, ids)
