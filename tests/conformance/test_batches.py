"""Batches and backlogs: many at a time, and how many are still to come."""

from events.bus import RetryAfter
from events.repair.backlog import backlogs
from tests.conformance.case import Case
from tests.conformance.events import Noted


def test_a_batch_is_a_list_of_no_more_than_asked_for(case: Case) -> None:
    sizes: list[int] = []
    listener = case.subscriber(does=lambda events: sizes.append(len(events)), batch=20)
    ids = case.emit(case.notes_of(200))
    case.worker_until_the_end(threads=2)
    case.expect(listener, ids)
    assert max(sizes) <= 20
    assert sum(sizes) == 200
    assert len(sizes) < 200, "nothing was taken together"
    case.note(f"200 messages in {len(sizes)} batches")


def test_a_poison_message_fails_no_batch_but_its_own(case: Case) -> None:
    def choke(events: list[Noted]) -> None:
        if any(event.number == 33 for event in events):
            raise ValueError("poison")

    listener = case.subscriber(does=choke, batch=20, max_retries=1)
    ids = case.emit(case.notes_of(60))
    case.worker_until_the_end(threads=2)
    case.wait_for(listener, len(ids))
    assert sorted(number for _, number in case.effects(listener)) == [n for n in range(60) if n != 33]


def test_backlogs_say_how_far_each_subscriber_is_behind(case: Case) -> None:
    def stumble(event: Noted) -> None:
        if event.number == 0:
            raise ValueError("dead at once")
        if event.number == 1:
            raise RetryAfter(3600)

    rash = case.subscriber(name="rash", does=stumble, max_retries=1, min_backoff=1, max_backoff=2)
    calm = case.subscriber(name="calm")

    def of(name: str) -> tuple[int, int, int] | None:
        return next(((one.behind, one.retrying, one.dead) for one in backlogs() if one.name == name), None)

    with case.open_worker():
        case.eventually(lambda: of(rash.name) and of(calm.name))
    case.emit(case.notes_of(30))
    assert of(rash.name) == (30, 0, 0)
    case.worker_until_the_end()
    case.eventually(lambda: of(rash.name) == (1, 1, 1))
    case.eventually(lambda: of(calm.name) == (0, 0, 0))
