"""Arrival: everything published arrives, whole, once and nowhere else."""

from events.models import Delivery, OutboxMessage
from tests.conformance.events import Noted, Painted
from tests.conformance.models import Mark
from tests.conformance.rig import Rig


def test_every_message_arrives_with_its_payload_and_attributes(rig: Rig) -> None:
    seen = []
    hearer = rig.subscriber(does=seen.append, group=1)
    rig.worker_until_the_end()
    sent = [Noted(line=n % 7, number=n, text=f"text {n}") for n in range(100)]
    ids = rig.emit(sent)
    rig.expect(hearer, ids)
    assert sorted(seen, key=lambda event: event.number) == sent
    assert {event.meta.id: (event.meta.subject, event.meta.topic) for event in seen} == {
        id: (f"line/{event.line}", "conformance.noted") for id, event in zip(ids, sent, strict=True)
    }


def test_two_topics_do_not_mix(rig: Rig) -> None:
    hearer, viewer = rig.subscriber(Noted), rig.subscriber(Painted, name="viewer")
    rig.worker_until_the_end()
    ids = rig.emit([Noted(number=1), Painted(number=2)])
    rig.expect(hearer, ids[:1])
    rig.expect(viewer, ids[1:])
    assert Delivery.objects.count() == Mark.objects.count() == 2
    assert not OutboxMessage.objects.exists()
