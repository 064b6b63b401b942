"""What RabbitMQ gives back: messages no queue took, channels and connections it closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pika
import pytest
from django.utils import timezone

from events.brokers.amqp.publisher import RabbitmqPublisher
from events.brokers.contract import Answers, Outgoing
from events.brokers.publish_outbox import PublishingCourier
from events.brokers.rabbitmq import RabbitmqBroker
from events.models import Delivery, OutboxMessage
from tests.conformance.rabbitmq import rabbitmqctl, remove_queues
from tests.effects.models import Account
from tests.support.effects import ring

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]

Eventually = Callable[..., None]


@pytest.fixture
def broker(vhost: str) -> Iterator[RabbitmqBroker]:
    yield dramatiq.get_broker()
    remove_queues()


@pytest.fixture
def courier(broker: RabbitmqBroker, transactional_db: None) -> Iterator[PublishingCourier]:
    courier = broker.courier()
    yield courier
    courier.close()


@pytest.fixture
def channel(broker: RabbitmqBroker) -> Iterator[Any]:
    with pika.BlockingConnection(broker.parameters) as connection:
        yield connection.channel()


def waiting(channel: Any, subscriber: str) -> int:
    return channel.queue_declare(f"airy.effects.{subscriber}", passive=True).method.message_count


def test_an_event_nobody_subscribes_to_is_delivered_to_none(courier: PublishingCourier) -> None:
    Account.objects.create(balance=5)
    assert courier.carry() == 1
    assert not OutboxMessage.objects.exists()


def test_an_event_whose_queues_are_gone_is_kept_until_they_are_declared_anew(
    courier: PublishingCourier, channel: Any, eventually: Eventually
) -> None:
    ring(1)
    assert courier.carry() == 1
    remove_queues()
    ring(3)
    assert courier.carry() == 0
    assert OutboxMessage.objects.count() == 3
    assert courier.carry() == 3
    for name in ("moody", "in_batches", "alone"):
        eventually(lambda name=name: waiting(channel, name) == 3)


def test_a_retry_for_a_subscriber_nobody_has_is_a_dead_letter_and_others_go_on(courier: PublishingCourier) -> None:
    ring(1)
    event_id = OutboxMessage.objects.get().event_id
    row = OutboxMessage(event_id=event_id, subscriber="effects.renamed", due=timezone.now(), attempt=2)
    OutboxMessage.objects.schedule([row])
    assert courier.carry() == 2
    assert Delivery.objects.get(subscriber="effects.renamed").state == "dead"
    assert not OutboxMessage.objects.exists()


def test_an_exchange_that_is_gone_ends_the_connection_and_the_next_batch_has_a_new_one(
    broker: RabbitmqBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = RabbitmqPublisher(broker)
    good = Outgoing("", "airy.effects.alone", b"{}", "1")
    assert publisher.publish([good]) == Answers(confirmed={"1"})
    with monkeypatch.context() as patched:
        patched.setattr(broker, "exchange", "no.such.exchange")
        answers = publisher.publish([good, Outgoing("x", "", b"{}", "2")])
        assert "NOT_FOUND" in str(answers.error)
        assert not answers.unanswered
    answers = publisher.publish([good, Outgoing("", "no.such.queue", b"{}", "3")])
    assert answers == Answers(confirmed={"1"}, returned={"3"})
    publisher.close()


def test_a_connection_lost_while_idle_is_an_error_at_most_once(broker: RabbitmqBroker, eventually: Eventually) -> None:
    publisher = RabbitmqPublisher(broker)
    good = Outgoing("", "airy.effects.alone", b"{}", "1")
    publisher.publish([good])
    rabbitmqctl("close_all_connections", "--vhost", broker.parameters.virtual_host, "a test")

    def noticed() -> bool:
        publisher.keep_alive()
        return not publisher.connected

    eventually(noticed)
    assert publisher.publish([good]) == Answers(confirmed={"1"})
    publisher.close()
