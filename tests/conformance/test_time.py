"""Time: delays and priorities."""

import datetime as dt
import threading
import time

import pytest

from events.models import OutboxMessage
from tests.conformance.case import PATIENCE, Case
from tests.conformance.events import Noted
from tests.conformance.sizes import full, small

DELAYS = (0.3, 0.6, 0.9, 1.2, 1.5)


def test_a_delayed_message_comes_never_early_and_within_a_second(case: Case) -> None:
    came: dict[int, float] = {}

    def note_time(event: Noted) -> None:
        came[event.number] = time.monotonic()

    listener = case.subscriber(does=note_time, group=1)
    case.worker_until_the_end()
    ids, before = [], time.monotonic()
    for number, delay in enumerate(DELAYS):
        ids += case.emit([Noted(number=number)], delay=dt.timedelta(seconds=delay))
    after = time.monotonic()
    case.expect(listener, ids)
    for number, delay in enumerate(DELAYS):
        assert came[number] >= before + delay, f"{delay} s came early"
    late = [came[number] - after - delay for number, delay in enumerate(DELAYS)]
    assert sorted(late)[len(late) // 2] < 1.0
    case.note(f"at most {max(late):.2f} s late")


@pytest.mark.parametrize("waiting", [small(100), full(300)])
def test_urgent_messages_go_first_from_the_outbox(case: Case, waiting: int) -> None:
    listener = case.subscriber()
    ids = case.emit(case.notes_of(waiting))
    ids += case.emit([Noted(line=1, number=number) for number in range(10)], priority=9)
    case.worker_until_the_end(threads=1)
    case.expect(listener, ids)
    assert case.effects(listener)[:10] == [(1, number) for number in range(10)]


@pytest.mark.parametrize("waiting", [small(80), full(1000)])
def test_an_urgent_message_overtakes_those_that_wait_in_the_broker(case: Case, waiting: int) -> None:
    case.requires("priorities")
    release = threading.Event()

    def hold(event: Noted) -> None:
        assert release.wait(PATIENCE)

    listener = case.subscriber(does=hold, atomic=False)
    case.worker_until_the_end(threads=1)
    ids = case.emit(case.notes_of(waiting + case.features.ahead))
    fresh = OutboxMessage.objects.filter(subscriber="")
    case.eventually(lambda: case.counts().handed and not fresh.exists())
    ids += case.emit([Noted(line=1, number=0)], priority=9)
    case.eventually(lambda: not fresh.exists())
    release.set()
    case.expect(listener, ids)
    place = case.effects(listener).index((1, 0))
    assert place <= case.features.ahead + 20
    case.note(f"the urgent one came after {place} of {len(ids) - 1}")


def test_a_stuck_message_holds_up_neither_its_neighbours_nor_other_subscribers(case: Case) -> None:
    release = threading.Event()

    def stick(event: Noted) -> None:
        if event.number == 0:
            assert release.wait(PATIENCE)

    stuck = case.subscriber(name="stuck", does=stick, atomic=False)
    other = case.subscriber(name="other")
    case.worker_until_the_end(threads=4)  # two for each subscriber
    ids = case.emit(case.notes_of(100))
    case.eventually(lambda: len(case.effects(other)) == 100 and len(case.effects(stuck)) >= 99)
    assert not release.is_set()
    release.set()
    case.expect(other, ids)
    case.expect(stuck, ids)
