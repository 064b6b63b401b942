"""Rows of the outbox whose event is not in the log: a restored table, a loaded fixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dramatiq
import pytest
from django.utils import timezone

from events.brokers import dangling
from events.brokers.contract import Courier
from events.brokers.embedded import EmbeddedBroker
from events.models import Delivery, OutboxMessage, StoredEvent
from tests.conformance.rabbitmq import remove_queues
from tests.support.effects import ring
from tests.support.logs import captured_logs

Eventually = Callable[..., None]


@pytest.fixture
def courier(
    request: pytest.FixtureRequest, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Courier]:
    """Of this pass's broker; the rows wait a second, not ten."""
    monkeypatch.setattr(dangling, "GRACE", 1.0)
    monkeypatch.setattr(dangling, "SEARCH", 0.1)
    monkeypatch.setattr(dangling, "SEARCH_COSTS", 1)
    broker = dramatiq.get_broker()
    if not isinstance(broker, EmbeddedBroker):
        request.getfixturevalue("vhost")
    courier = broker.courier()
    yield courier
    courier.close()
    if not isinstance(broker, EmbeddedBroker):
        remove_queues()


def carry(courier: Courier) -> None:
    while courier.carry():
        pass


def test_rows_without_an_event_are_buried_and_the_others_go_on(courier: Courier, eventually: Eventually) -> None:
    ids = ring(600)
    StoredEvent.objects.filter(event_id__in=ids[:550]).delete()
    targeted = OutboxMessage(event_id=ids[0], subscriber="effects.alone", due=timezone.now(), attempt=2)
    OutboxMessage.objects.schedule([targeted])
    with captured_logs() as lines:
        eventually(
            lambda: carry(courier) or not OutboxMessage.objects.filter(event_id__in=ids[:550]).exists(), within=60
        )
    assert not OutboxMessage.objects.new().exists(), "those with an event were not held up"
    letter = Delivery.objects.get()
    assert (letter.event_id, letter.subscriber, letter.state) == (ids[0], "effects.alone", "dead")
    assert "not in the log" in letter.reason
    told = [line for line in lines if line["event"] == "outbox row without an event: deleted"]
    assert {line["event_id"] for line in told} == set(map(str, ids[:550]))


def test_an_event_that_comes_a_moment_later_is_delivered(courier: Courier, eventually: Eventually) -> None:
    (event_id,) = ring(1)
    event = StoredEvent.objects.get()
    StoredEvent.objects.all().delete()
    courier.carry()
    assert OutboxMessage.objects.get().due is not None
    event.save(force_insert=True)
    eventually(lambda: carry(courier) or not OutboxMessage.objects.filter(subscriber="").exists(), within=30)
    assert not Delivery.objects.filter(event_id=event_id, state="dead").exists()
