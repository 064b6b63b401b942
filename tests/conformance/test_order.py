"""Order: of one line, as an only executor meets it; where none is promised it is counted."""

import threading

import pytest

from tests.conformance.case import PATIENCE, Case
from tests.conformance.events import Noted
from tests.conformance.sizes import full, small

LINES = 16


@pytest.mark.parametrize("messages", [small(160), full(1000)])
def test_an_only_executor_meets_each_line_in_order(case: Case, messages: int) -> None:
    case.requires("ordered")
    listener = case.subscriber()
    case.worker_until_the_end(threads=1)
    ids = case.publish(case.notes_of(messages, lines=LINES), publishers=4, together=3)
    case.expect(listener, ids)
    assert case.counts().inversions == 0


@pytest.mark.parametrize("messages", [small(160), full(1000)])
def test_several_executors_miss_nothing_and_their_inversions_are_counted(case: Case, messages: int) -> None:
    listener = case.subscriber(group=5)
    case.worker_until_the_end(threads=8)
    ids = case.publish(case.notes_of(messages, lines=LINES), publishers=4, together=3)
    case.expect(listener, ids)


def test_a_failure_puts_no_line_but_its_own_out_of_order(case: Case) -> None:
    """On its own line a retry comes late: that line's inversions are counted, and promised to nobody."""

    def fail_once(event: Noted) -> None:
        if event.line == 0 and event.number == 3 and event.meta.attempt == 1:
            raise ValueError("once")

    listener = case.subscriber(does=fail_once, group=1)
    case.worker_until_the_end(threads=1)
    ids = case.emit(case.notes_of(80, lines=4))
    case.expect(listener, ids)
    effects = case.effects(listener)
    for line in range(1, 4):
        assert [number for own, number in effects if own == line] == list(range(20)), line
    late = [number for own, number in effects if own == 0].index(3)
    if case.features.ordered_after_failure:
        assert late == 3
    case.note(f"the failed note came {late - 3} places late on its line")


def test_the_only_executor_gets_the_next_message_when_the_first_is_done(case: Case) -> None:
    begun, release = threading.Semaphore(0), threading.Event()
    running, most = [], []

    def hold(event: Noted) -> None:
        running.append(event.number)
        most.append(len(running))
        begun.release()
        assert release.wait(PATIENCE)
        running.remove(event.number)

    listener = case.subscriber(does=hold, group=1)
    case.worker_until_the_end(threads=1)
    ids = case.emit(case.notes_of(2))
    assert begun.acquire(timeout=PATIENCE)
    assert not begun.acquire(timeout=0.1), "the second came before the first was done"
    release.set()
    case.expect(listener, ids)
    assert most == [1, 1]
    assert case.counts().handed == 2, "a third delivery"
