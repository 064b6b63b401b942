"""Sweep: what waits in a queue of RabbitMQ is taken out and owed again from the redacted log."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pika
import pytest
from django.db import transaction

from events.brokers.rabbitmq import RabbitmqBroker
from events.bus import emit, redact, subscriber
from events.models import Delivery, OutboxMessage, StaleEvent, StoredEvent
from events.repair.announce import announce
from events.repair.sweep import sweep
from events.subscription import Subscription, subscriptions
from events.worker.actors import declare_actor
from tests.effects.events import Said
from tests.support.broker_case import our_broker, working
from tests.support.own_subscribers import own_subscribers

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

SECRET = "planted-secret-7351"
heard: list[tuple[int, str]] = []


@pytest.fixture
def broker(vhost: str) -> RabbitmqBroker:
    return our_broker()


@pytest.fixture
def subscription(broker: RabbitmqBroker) -> Iterator[Subscription]:
    """The only subscriber, announced; nobody works for it yet."""
    heard.clear()
    with own_subscribers():
        subscriptions.clear()
        name = f"effects.listener_{uuid.uuid4().hex[:8]}"
        subscriber(Said, name=name)(lambda event: heard.append((event.number, event.text)))
        declare_actor(broker, subscriptions[name])
        announce()
        yield subscriptions[name]


def say(*numbers: int, priority: int = 0) -> None:
    with transaction.atomic():
        for number in numbers:
            emit(Said(number=number, text=f"{SECRET} {number}"), priority=priority)


def erase(number: int) -> None:
    with transaction.atomic():
        redact(f"word/{number}")


def publish(broker: RabbitmqBroker) -> int:
    """Let a relay carry the outbox once."""
    courier = broker.courier()
    try:
        return courier.carry()
    finally:
        courier.close()


def waiting(queue: str) -> list[tuple[bytes, bool]]:
    """The messages of a queue with their mark of redelivery; they stay in it."""
    with pika.BlockingConnection(dramatiq.get_broker().parameters) as connection:  # type: ignore[attr-defined]
        channel = connection.channel()
        return [
            (body, method.redelivered) for method, _, body in iter(lambda: channel.basic_get(queue), (None, None, None))
        ]


def count(queue: str) -> int:
    with pika.BlockingConnection(dramatiq.get_broker().parameters) as connection:  # type: ignore[attr-defined]
        return int(connection.channel().queue_declare(queue, passive=True).method.message_count)


def test_what_waits_is_taken_out_and_owed_again_and_all_others_stay_as_they_are(
    broker: RabbitmqBroker, subscription: Subscription, eventually: Callable[..., None]
) -> None:
    say(1, 2)
    say(3, priority=7)
    assert publish(broker) == 3
    foreign = {"specversion": "1.0", "id": "x", "source": "/x", "type": "word.said", "data": {"number": 9, "text": "f"}}
    with pika.BlockingConnection(broker.parameters) as connection:
        connection.channel().basic_publish(broker.exchange, "word.said", json.dumps(foreign).encode())
    eventually(lambda: count(subscription.queue) == 4)
    erase(1)
    assert sweep(broker) == 1
    eventually(lambda: count(subscription.queue) == 3)
    assert list(OutboxMessage.objects.values_list("subscriber", "run", "attempt")) == [(subscription.name, 0, 1)]
    assert publish(broker) == 1
    eventually(lambda: count(subscription.queue) == 4)
    with working(broker):
        eventually(lambda: len(heard) == 4, within=20)
    assert sorted(heard) == [(1, ""), (2, f"{SECRET} 2"), (3, f"{SECRET} 3"), (9, "f")]
    assert not Delivery.objects.exclude(state="done").exists()


def test_nothing_that_stays_is_marked_as_redelivered_and_no_secret_is_left(
    broker: RabbitmqBroker, subscription: Subscription, eventually: Callable[..., None]
) -> None:
    say(*range(1, 41))
    publish(broker)
    eventually(lambda: count(subscription.queue) == 40)
    for number in range(1, 31):
        erase(number)
    assert sweep(broker) == 30
    publish(broker)
    eventually(lambda: count(subscription.queue) == 40)
    found = waiting(subscription.queue)
    assert len(found) == 40
    assert not any(redelivered for _, redelivered in found)
    assert sum(SECRET.encode() in body for body, _ in found) == 10


def test_what_was_pruned_meanwhile_is_owed_to_nobody(
    broker: RabbitmqBroker, subscription: Subscription, eventually: Callable[..., None]
) -> None:
    say(1, 2)
    publish(broker)
    eventually(lambda: count(subscription.queue) == 2)
    erase(1)
    erase(2)
    StoredEvent.objects.filter(subject="word/1").delete()
    assert sweep(broker) == 1
    assert OutboxMessage.objects.get().event.subject == "word/2"
    assert count(subscription.queue) == 0


def test_a_row_goes_once_nothing_can_be_on_its_way_any_more(broker: RabbitmqBroker, subscription: Subscription) -> None:
    say(1)
    erase(1)
    publish(broker)
    sweep(broker)
    assert StaleEvent.objects.count() == 1
    StaleEvent.objects.update(at="2026-01-01T00:00Z")
    sweep(broker)
    assert not StaleEvent.objects.exists()


def test_a_sweep_that_fails_before_the_record_leaves_the_messages(
    broker: RabbitmqBroker, subscription: Subscription, eventually: Callable[..., None]
) -> None:
    say(1)
    publish(broker)
    eventually(lambda: count(subscription.queue) == 1)

    def fail(messages: Any) -> None:
        raise RuntimeError("the database is out")

    (event_id,) = (uuid.UUID(json.loads(body)["id"]) for body, _ in waiting(subscription.queue))
    with pytest.raises(RuntimeError):
        broker.take_out(subscription.queue, {event_id}, owe=fail)
    eventually(lambda: count(subscription.queue) == 1)


def test_a_queue_that_is_gone_is_passed_by(broker: RabbitmqBroker) -> None:
    assert broker.take_out("airy.nobody.has_it", {uuid.uuid4()}, owe=lambda messages: None)
