"""Share: a subscriber that is slow or fails leaves the threads of a worker to the others."""

import logging
import threading
import time
from collections.abc import Iterator

import pytest
from django.db import connection

from events.bus import PermanentFailure
from events.models import Attempt, Delivery
from events.worker.busy import busy_figures
from tests.conformance.case import PATIENCE, Case
from tests.conformance.events import Noted


class Gate:
    """Holds who passes until it is opened, and counts them."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.standing: list[int] = []

    def pass_through(self, event: Noted) -> None:
        self.standing.append(event.number)
        assert self.open.wait(PATIENCE)
        self.standing.remove(event.number)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def test_a_slow_subscriber_occupies_half_of_the_threads_and_the_others_work_on(case: Case, gate: Gate) -> None:
    slow = case.subscriber(name="slow", does=gate.pass_through, atomic=False)
    other = case.subscriber(name="other")
    case.worker_until_the_end(threads=4)
    ids = case.emit(case.notes_of(60))
    case.eventually(lambda: len(gate.standing) == 2)
    case.wait_for_effects(other, 60)
    more = case.emit(case.notes_of(60, start=60))
    case.wait_for_effects(other, 120)
    assert len(gate.standing) == 2
    case.eventually(lambda: {one["subscriber"] for one in busy_figures(4)["runs"]} == {slow.name})
    assert busy_figures(4)["busy"] == 2
    gate.open.set()
    case.expect(slow, ids + more)


def test_all_slow_subscribers_together_leave_one_thread_free(case: Case, gate: Gate) -> None:
    slow = [case.subscriber(name=f"slow_{n}", does=gate.pass_through, atomic=False, concurrency=4) for n in range(3)]
    other = case.subscriber(name="other")
    case.worker_until_the_end(threads=4)
    ids = case.emit(case.notes_of(20))
    case.eventually(lambda: len(gate.standing) == 3)
    case.wait_for_effects(other, 20)
    assert len(gate.standing) == 3
    gate.open.set()
    for one in slow:
        case.expect(one, ids)


def test_a_failing_subscriber_is_tried_less_often_and_what_waits_keeps_its_attempts(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "events.delivery")
    broken = threading.Event()
    broken.set()

    def fail(event: Noted) -> None:
        if broken.is_set():
            raise ValueError("broken")

    def said(beginning: str) -> list[logging.LogRecord]:
        return [record for record in caplog.records if str(record.msg).startswith(beginning)]

    listener = case.subscriber(does=fail, max_retries=50, min_backoff=300, max_backoff=3_600_000)
    case.worker_until_the_end()
    ids = case.emit(case.notes_of(100))
    case.eventually(lambda: said("tried less often"))
    case.eventually(lambda: Attempt.objects.count() >= 7)
    # Groups that ran when it began to fail, and then one message after each pause.
    assert Attempt.objects.count() < 20
    broken.clear()
    case.eventually(lambda: said("tried as often as before"))
    (told,) = said("tried less often")
    assert f"failures in a row, next try in 0.3 s subscriber={listener.name}" in told.getMessage()
    at_once = Delivery.objects.filter(subscriber=listener.name, state="done", attempts=1)
    case.eventually(lambda: at_once.count() >= len(ids) - Attempt.objects.count())


@pytest.mark.parametrize("atomic", [True, False])
def test_the_total_holds_over_several_workers_and_costs_no_attempt(case: Case, atomic: bool) -> None:
    case.requires("competing")
    counting, running, most = threading.Lock(), 0, 0

    def note(event: Noted) -> None:
        nonlocal running, most
        with counting:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with counting:
            running -= 1

    listener = case.subscriber(does=note, atomic=atomic, group=1, concurrency_total=2)
    ids = case.emit(case.notes_of(40))
    for _ in range(2):
        case.worker_until_the_end(threads=8)
    case.expect(listener, ids)
    # On SQLite a transaction waits for the other before it runs, and the total holds within a worker.
    assert most <= (2 if connection.vendor == "postgresql" else 4)
    assert not Delivery.objects.exclude(attempts=1).exists()


def test_redelivered_messages_obey_the_total(case: Case) -> None:
    case.requires("server")
    gate = Gate()
    listener = case.subscriber(does=gate.pass_through, group=1, concurrency_total=1)
    case.worker_until_the_end(threads=4)
    ids = case.emit(case.notes_of(6))
    case.eventually(lambda: len(gate.standing) == 1)
    case.candidate.break_connections()  # now the others are redelivered, and the first one still runs
    for _ in range(2):
        case.worker_until_the_end(threads=4)
    case.eventually(lambda: case.counts().again > 0)
    assert len(gate.standing) == 1
    gate.open.set()
    case.expect(listener, ids)
    assert not Delivery.objects.exclude(attempts__lte=2).exists()


def test_events_that_no_retry_can_help_do_not_make_a_subscriber_fail(case: Case) -> None:
    def refuse(event: Noted) -> None:
        raise PermanentFailure("of no interest")

    listener = case.subscriber(does=refuse, min_backoff=60_000)
    case.worker_until_the_end()
    case.emit(case.notes_of(30))
    case.wait_for(listener, 30)
