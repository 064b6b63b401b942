"""Topics: who gets what, and what goes to nobody."""

import pytest
from django.db import transaction

from events.bus import emit, suppressed
from events.models import Delivery, OutboxMessage, StoredEvent
from tests.conformance.case import Rig
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


def test_wildcards_choose_topics_as_amqp_says(rig: Rig) -> None:
    hearers = {pattern: rig.subscriber(pattern, name=f"hearer{n}") for n, pattern in enumerate(PATTERNS)}
    rig.worker_until_the_end()
    ids = rig.emit([kind(number=n) for n, kind in enumerate((Noted, Painted, Followed, TOPICS[1]))])
    for pattern, wanted in PATTERNS.items():
        rig.expect(hearers[pattern], [ids[n] for n in wanted])


def test_what_is_rolled_back_or_suppressed_reaches_nobody(rig: Rig) -> None:
    hearer = rig.subscriber()
    rig.worker_until_the_end()
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
    rig.expect(hearer, [kept])
    assert set(StoredEvent.objects.values_list("data__number", "suppressed")) == {(3, ""), (4, "an import")}


def test_an_effect_that_is_rolled_back_takes_what_it_emitted_along(rig: Rig) -> None:
    def answer(event: Noted) -> None:
        emit(Followed(number=event.meta.attempt))
        if event.meta.attempt < 3:
            raise ValueError("not yet")

    hearer = rig.subscriber(does=answer)
    follower = rig.subscriber(Followed, name="follower")
    rig.worker_until_the_end()
    rig.expect(hearer, rig.emit(rig.notes_of(1)))
    rig.wait_for(follower, 1)
    assert rig.effects(follower) == [(0, 3)]


def test_what_nobody_subscribes_to_leaves_the_outbox_and_stays_in_the_log(rig: Rig) -> None:
    rig.subscriber(Painted)
    rig.worker_until_the_end()
    rig.emit(rig.notes_of(5))
    rig.eventually(lambda: not OutboxMessage.objects.exists())
    assert StoredEvent.objects.count() == 5
    assert not Delivery.objects.exists()


def test_a_new_subscriber_gets_old_messages(rig: Rig) -> None:
    rig.requires("old_messages")
    rig.subscriber(name="first")
    ids: list = []
    for name in ("second", "third", "fourth"):
        ids += rig.emit(rig.notes_of(100))
        late = rig.subscriber(name=name)
        with rig.work():
            rig.expect(late, ids)


def test_a_new_subscriber_begins_at_the_end_of_the_log(rig: Rig) -> None:
    first = rig.subscriber(name="first")
    with rig.work():
        old = rig.emit(rig.notes_of(20))
        rig.expect(first, old)
    late = rig.subscriber(name="late")
    rig.worker_until_the_end()
    new = rig.emit(rig.notes_of(20, start=20))
    rig.expect(late, new)
    rig.expect(first, old + new)
    assert Mark.objects.count() == 60
