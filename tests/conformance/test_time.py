"""Time: delays and priorities."""

import datetime as dt
import threading
import time

import pytest

from events.models import OutboxMessage
from tests.conformance.case import PATIENCE, Rig
from tests.conformance.events import Noted
from tests.conformance.sizes import full, small

DELAYS = (0.3, 0.6, 0.9, 1.2, 1.5)


def test_a_delayed_message_comes_never_early_and_within_a_second(rig: Rig) -> None:
    came: dict[int, float] = {}

    def note_time(event: Noted) -> None:
        came[event.number] = time.monotonic()

    hearer = rig.subscriber(does=note_time, group=1)
    rig.worker_until_the_end()
    ids, before = [], time.monotonic()
    for number, delay in enumerate(DELAYS):
        ids += rig.emit([Noted(number=number)], delay=dt.timedelta(seconds=delay))
    after = time.monotonic()
    rig.expect(hearer, ids)
    for number, delay in enumerate(DELAYS):
        assert came[number] >= before + delay, f"{delay} s came early"
    late = [came[number] - after - delay for number, delay in enumerate(DELAYS)]
    assert sorted(late)[len(late) // 2] < 1.0
    rig.note(f"at most {max(late):.2f} s late")


@pytest.mark.parametrize("waiting", [small(100), full(300)])
def test_urgent_messages_go_first_from_the_outbox(rig: Rig, waiting: int) -> None:
    hearer = rig.subscriber()
    ids = rig.emit(rig.notes_of(waiting))
    ids += rig.emit([Noted(line=1, number=number) for number in range(10)], priority=9)
    rig.worker_until_the_end(threads=1)
    rig.expect(hearer, ids)
    assert rig.effects(hearer)[:10] == [(1, number) for number in range(10)]


@pytest.mark.parametrize("waiting", [small(80), full(1000)])
def test_an_urgent_message_overtakes_those_that_wait_in_the_broker(rig: Rig, waiting: int) -> None:
    rig.requires("priorities")
    release = threading.Event()

    def hold(event: Noted) -> None:
        assert release.wait(PATIENCE)

    hearer = rig.subscriber(does=hold, atomic=False)
    rig.worker_until_the_end(threads=1)
    ids = rig.emit(rig.notes_of(waiting + rig.features.ahead))
    fresh = OutboxMessage.objects.filter(subscriber="")
    rig.eventually(lambda: rig.figures().handed and not fresh.exists())
    ids += rig.emit([Noted(line=1, number=0)], priority=9)
    rig.eventually(lambda: not fresh.exists())
    release.set()
    rig.expect(hearer, ids)
    place = rig.effects(hearer).index((1, 0))
    assert place <= rig.features.ahead + 20
    rig.note(f"the urgent one came after {place} of {len(ids) - 1}")


def test_a_stuck_message_holds_up_neither_its_neighbours_nor_other_subscribers(rig: Rig) -> None:
    release = threading.Event()

    def stick(event: Noted) -> None:
        if event.number == 0:
            assert release.wait(PATIENCE)

    stuck = rig.subscriber(name="stuck", does=stick, atomic=False)
    other = rig.subscriber(name="other")
    rig.worker_until_the_end(threads=2)
    ids = rig.emit(rig.notes_of(100))
    rig.eventually(lambda: len(rig.effects(other)) == 100 and len(rig.effects(stuck)) >= 99)
    assert not release.is_set()
    release.set()
    rig.expect(other, ids)
    rig.expect(stuck, ids)
