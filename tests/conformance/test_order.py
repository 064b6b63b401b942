"""Order: of one line, as an only executor meets it; where none is promised it is counted."""

import threading

import pytest

from tests.conformance.case import PATIENCE, Rig
from tests.conformance.events import Noted
from tests.conformance.sizes import full, small

LINES = 16


@pytest.mark.parametrize("messages", [small(160), full(1000)])
def test_an_only_executor_meets_each_line_in_order(rig: Rig, messages: int) -> None:
    rig.requires("ordered")
    hearer = rig.subscriber()
    rig.worker_until_the_end(threads=1)
    ids = rig.publish(rig.notes_of(messages, lines=LINES), publishers=4, together=3)
    rig.expect(hearer, ids)
    assert rig.figures().inversions == 0


@pytest.mark.parametrize("messages", [small(160), full(1000)])
def test_several_executors_miss_nothing_and_their_inversions_are_counted(rig: Rig, messages: int) -> None:
    hearer = rig.subscriber(group=5)
    rig.worker_until_the_end(threads=8)
    ids = rig.publish(rig.notes_of(messages, lines=LINES), publishers=4, together=3)
    rig.expect(hearer, ids)


def test_a_failure_puts_no_line_but_its_own_out_of_order(rig: Rig) -> None:
    """On its own line a retry comes late: that line's inversions are counted, and promised to nobody."""

    def fail_once(event: Noted) -> None:
        if event.line == 0 and event.number == 3 and event.meta.attempt == 1:
            raise ValueError("once")

    hearer = rig.subscriber(does=fail_once, group=1)
    rig.worker_until_the_end(threads=1)
    ids = rig.emit(rig.notes_of(80, lines=4))
    rig.expect(hearer, ids)
    effects = rig.effects(hearer)
    for line in range(1, 4):
        assert [number for own, number in effects if own == line] == list(range(20)), line
    late = [number for own, number in effects if own == 0].index(3)
    if rig.features.ordered_after_failure:
        assert late == 3
    rig.note(f"the failed note came {late - 3} places late on its line")


def test_the_only_executor_gets_the_next_message_when_the_first_is_done(rig: Rig) -> None:
    begun, release = threading.Semaphore(0), threading.Event()
    running, most = [], []

    def hold(event: Noted) -> None:
        running.append(event.number)
        most.append(len(running))
        begun.release()
        assert release.wait(PATIENCE)
        running.remove(event.number)

    hearer = rig.subscriber(does=hold, group=1)
    rig.worker_until_the_end(threads=1)
    ids = rig.emit(rig.notes_of(2))
    assert begun.acquire(timeout=PATIENCE)
    assert not begun.acquire(timeout=0.1), "the second came before the first was done"
    release.set()
    rig.expect(hearer, ids)
    assert most == [1, 1]
    assert rig.figures().handed == 2, "a third delivery"
