"""Arrival: everything published arrives, whole, once and nowhere else."""

import pytest

from events.models import Delivery, OutboxMessage, StoredEvent
from tests.conformance.case import Case
from tests.conformance.events import TOPICS, Noted, Painted, Spoken
from tests.conformance.models import Mark
from tests.conformance.sizes import full, small

SCRIPTS = ("你好，世界", "שלום", "Zażółć gęślą jaźń", "e\u0301 and é", "🧑\u200d🚀", "'\"\\ <&>\t\n", "\u2028", "")


def test_every_message_arrives_with_its_payload_and_attributes(case: Case) -> None:
    seen = []
    listener = case.subscriber(does=seen.append, group=1)
    case.worker_until_the_end()
    sent = [Noted(line=n % 7, number=n, text=f"text {n}") for n in range(100)]
    ids = case.emit(sent)
    case.expect(listener, ids)
    assert sorted(seen, key=lambda event: event.number) == sent
    assert {event.meta.id: (event.meta.subject, event.meta.topic) for event in seen} == {
        id: (f"line/{event.line}", "conformance.noted") for id, event in zip(ids, sent, strict=True)
    }


def test_two_topics_do_not_mix(case: Case) -> None:
    listener, viewer = case.subscriber(Noted), case.subscriber(Painted, name="viewer")
    case.worker_until_the_end()
    ids = case.emit([Noted(number=1), Painted(number=2)])
    case.expect(listener, ids[:1])
    case.expect(viewer, ids[1:])
    assert Delivery.objects.count() == Mark.objects.count() == 2
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize(("messages", "publishers", "executors"), [small(300, 6, 10), full(5000, 30, 50)])
def test_many_publishers_and_competing_workers_lose_and_invent_nothing(
    case: Case, messages: int, publishers: int, executors: int
) -> None:
    listener = case.subscriber()
    worker_count = 5 if case.features.competing else 1
    for _ in range(worker_count):
        case.worker_until_the_end(threads=executors // worker_count)
    ids = case.publish(case.notes_of(messages, lines=publishers), publishers=publishers, together=5)
    case.expect(listener, ids)


@pytest.mark.parametrize("messages", [small(10), full(100)])
def test_twenty_topics_at_once_each_arrive_whole(case: Case, messages: int) -> None:
    listeners = [case.subscriber(kind, name=f"listener{n}") for n, kind in enumerate(TOPICS)]
    case.worker_until_the_end(threads=8)
    events = [kind(line=n, number=number) for number in range(messages) for n, kind in enumerate(TOPICS)]
    ids = case.publish(events, publishers=4, together=10)
    kinds = dict(StoredEvent.objects.values_list("event_id", "topic"))
    for listener in listeners:
        case.expect(listener, [id for id in ids if kinds[id] in listener.patterns])


def test_each_of_two_groups_gets_everything(case: Case) -> None:
    groups = [case.subscriber(name=name) for name in ("first", "second")]
    case.worker_until_the_end()
    ids = case.emit(case.notes_of(50))
    for group in groups:
        case.expect(group, ids)


def test_text_of_every_script_arrives_unchanged(case: Case) -> None:
    seen = []
    listener = case.subscriber(Spoken, does=seen.append, group=1)
    case.worker_until_the_end()
    ids = case.emit([Spoken(number=number, text=text) for number, text in enumerate(SCRIPTS)])
    case.expect(listener, ids)
    assert {(event.text, event.meta.subject) for event in seen} == {(text, f"said/{text}") for text in SCRIPTS}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_suites_at_once(case: Case) -> None:
    """Ten lots of topics: each heard by two groups, one of which fails at first, from ten publishers at once."""
    failed: set[object] = set()

    def fail_at_first(event: Noted) -> None:
        if event.meta.attempt == 1 and event.number % 10 == 0:
            failed.add(event.meta.id)
            raise ValueError("at first")

    calm = [case.subscriber(kind, name=f"calm{n}") for n, kind in enumerate(TOPICS[:10])]
    rash = [case.subscriber(kind, name=f"rash{n}", does=fail_at_first) for n, kind in enumerate(TOPICS[:10])]
    case.worker_until_the_end(threads=16)
    events = [kind(line=n, number=number) for number in range(200) for n, kind in enumerate(TOPICS[:10])]
    ids = case.publish(events, publishers=10)
    kinds = dict(StoredEvent.objects.values_list("event_id", "topic"))
    for listener in (*calm, *rash):
        case.expect(listener, [id for id in ids if kinds[id] in listener.patterns], within=600)
    assert len(failed) == 200
