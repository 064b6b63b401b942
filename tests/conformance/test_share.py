"""Share: a subscriber that is slow or fails leaves the threads of a worker to the others."""

import threading
from collections.abc import Iterator

import dramatiq
import pytest

from events.bus import PermanentFailure
from events.models import Attempt, Delivery
from events.worker.busy import busy_figures
from tests.conformance.case import PATIENCE, Case
from tests.conformance.events import Noted
from tests.support.broker_case import working
from tests.support.logs import captured_logs


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
    figures = busy_figures(4)
    assert figures["busy"] == 2
    assert {one["subscriber"] for one in figures["runs"]} == {slow.name}
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


def test_a_failing_subscriber_is_tried_less_often_and_what_waits_keeps_its_attempts(case: Case) -> None:
    broken = threading.Event()
    broken.set()
    calls: list[int] = []

    def fail(event: Noted) -> None:
        calls.append(event.number)
        if broken.is_set():
            raise ValueError("broken")

    listener = case.subscriber(does=fail, max_retries=50, min_backoff=300, max_backoff=3_600_000)
    with captured_logs("events.delivery") as lines:
        case.worker_until_the_end()
        ids = case.emit(case.notes_of(100))
        case.eventually(lambda: len(calls) >= 7)
        first, *_ = [line for line in lines if line["event"].startswith("tried less often")]
        assert first["event"].endswith("failures in a row, next try in 0.3 s")
        assert first["subscriber"] == listener.name
        # Groups that ran when it began to fail, and then one message after each pause.
        assert Attempt.objects.count() < 20
        broken.clear()
        case.eventually(lambda: any(line["event"].startswith("tried as often as before") for line in lines))
        assert sum(line["event"].startswith("tried less often") for line in lines) == 1
    at_once = Delivery.objects.filter(subscriber=listener.name, state="done", attempts=1)
    case.eventually(lambda: at_once.count() >= len(ids) - Attempt.objects.count())


def test_events_that_no_retry_can_help_do_not_make_a_subscriber_fail(case: Case) -> None:
    def refuse(event: Noted) -> None:
        raise PermanentFailure("of no interest")

    listener = case.subscriber(does=refuse, min_backoff=60_000)
    case.worker_until_the_end()
    case.emit(case.notes_of(30))
    case.wait_for(listener, 30)


def test_a_worker_of_one_thread_is_warned_about() -> None:
    broker = type(dramatiq.get_broker())()
    with captured_logs("events.delivery") as lines, working(broker, threads=1):
        pass
    assert ["one thread" in line["event"] for line in lines if line["log_level"] == "warning"] == [True]
