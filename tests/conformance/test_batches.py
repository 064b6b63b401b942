"""Batches and backlogs: many at a time, and how many are still to come."""

from events.bus import RetryAfter
from events.repair.backlog import Backlog, backlogs
from tests.conformance.events import Noted
from tests.conformance.rig import Rig


def test_a_batch_is_a_list_of_no_more_than_asked_for(rig: Rig) -> None:
    sizes: list[int] = []
    hearer = rig.subscriber(does=lambda events: sizes.append(len(events)), batch=20)
    ids = rig.emit(rig.notes_of(200))
    rig.worker_until_the_end(threads=2)
    rig.expect(hearer, ids)
    assert max(sizes) <= 20
    assert sum(sizes) == 200
    assert len(sizes) < 200, "nothing was taken together"
    rig.note(f"200 messages in {len(sizes)} batches")


def test_a_poison_message_fails_no_batch_but_its_own(rig: Rig) -> None:
    def choke(events: list[Noted]) -> None:
        if any(event.number == 33 for event in events):
            raise ValueError("poison")

    hearer = rig.subscriber(does=choke, batch=20, max_retries=1)
    ids = rig.emit(rig.notes_of(60))
    rig.worker_until_the_end(threads=2)
    rig.wait_for(hearer, len(ids))
    assert sorted(number for _, number in rig.effects(hearer)) == [n for n in range(60) if n != 33]


def test_backlogs_say_how_far_each_subscriber_is_behind(rig: Rig) -> None:
    def stumble(event: Noted) -> None:
        if event.number == 0:
            raise ValueError("dead at once")
        if event.number == 1:
            raise RetryAfter(3600)

    rash = rig.subscriber(name="rash", does=stumble, max_retries=1, min_backoff=1, max_backoff=2)
    calm = rig.subscriber(name="calm")

    def of(name: str) -> Backlog | None:
        return next((one for one in backlogs() if one.name == name), None)

    with rig.work():
        rig.eventually(lambda: of(rash.name) and of(calm.name))
    rig.emit(rig.notes_of(30))
    assert of(rash.name) == Backlog(rash.name, behind=30, retrying=0, dead=0)
    rig.worker_until_the_end()
    rig.eventually(lambda: of(rash.name) == Backlog(rash.name, behind=1, retrying=1, dead=1))
    rig.eventually(lambda: of(calm.name) == Backlog(calm.name, behind=0, retrying=0, dead=0))
