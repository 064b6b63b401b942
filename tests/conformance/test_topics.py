"""Topics: who gets what, and what goes to nobody."""

import pytest
from django.db import transaction

from events.bus import emit, suppressed
from events.models import Delivery, OutboxMessage, StoredEvent
from tests.conformance.case import Case
from tests.conformance.events import TOPICS, Followed, Noted, Painted
from tests.conformance.models import Mark

#: Patterns, and which of note, picture, follow-up and topic 1 they want.
PATTERNS = {
    "conformance.noted": [0],
    "conformance.*": [0, 2],
    "conformance.#": [0, 1, 2, 3],
    "*.picture.*": [1],
    "#.topic_1": [3],
    "conformance.*.*": [1, 3],
    "conformance.noted.#": [0],
    "conformance.noted.*": [],
}


def test_wildcards_choose_topics_as_amqp_says(case: Case) -> None:
    listeners = {pattern: case.subscriber(pattern, name=f"listener{n}") for n, pattern in enumerate(PATTERNS)}
    case.worker_until_the_end()
    ids = case.emit([kind(number=n) for n, kind in enumerate((Noted, Painted, Followed, TOPICS[1]))])
    for pattern, wanted in PATTERNS.items():
        case.expect(listeners[pattern], [ids[n] for n in wanted])


def test_what_is_rolled_back_or_suppressed_reaches_nobody(case: Case) -> None:
    listener = case.subscriber()
    case.worker_until_the_end()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        emit(Noted(number=1))
        raise ZeroDivisionError
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            emit(Noted(number=2))
            raise ZeroDivisionError
        kept = emit(Noted(number=3))
        with suppressed("an import"):
            emit(Noted(number=4))
    case.expect(listener, [kept])
    assert set(StoredEvent.objects.values_list("data__number", "suppressed")) == {(3, ""), (4, "an import")}


def test_an_effect_that_is_rolled_back_takes_what_it_emitted_along(case: Case) -> None:
    def answer(event: Noted) -> None:
        emit(Followed(number=event.meta.attempt))
        if event.meta.attempt < 3:
            raise ValueError("not yet")

    listener = case.subscriber(does=answer)
    follower = case.subscriber(Followed, name="follower")
    case.worker_until_the_end()
    case.expect(listener, case.emit(case.notes_of(1)))
    case.wait_for(follower, 1)
    assert case.effects(follower) == [(0, 3)]


def test_what_nobody_subscribes_to_leaves_the_outbox_and_stays_in_the_log(case: Case) -> None:
    case.subscriber(Painted)
    case.worker_until_the_end()
    case.emit(case.notes_of(5))
    case.eventually(lambda: not OutboxMessage.objects.exists())
    assert StoredEvent.objects.count() == 5
    assert not Delivery.objects.exists()


def test_a_new_subscriber_gets_old_messages(case: Case) -> None:
    case.requires("old_messages")
    case.subscriber(name="first")
    ids: list = []
    for name in ("second", "third", "fourth"):
        ids += case.emit(case.notes_of(100))
        late = case.subscriber(name=name)
        with case.open_worker():
            case.expect(late, ids)


def test_a_new_subscriber_begins_at_the_end_of_the_log(case: Case) -> None:
    first = case.subscriber(name="first")
    with case.open_worker():
        old = case.emit(case.notes_of(20))
        case.expect(first, old)
    late = case.subscriber(name="late")
    case.worker_until_the_end()
    new = case.emit(case.notes_of(20, start=20))
    case.expect(late, new)
    case.expect(first, old + new)
    assert Mark.objects.count() == 60
