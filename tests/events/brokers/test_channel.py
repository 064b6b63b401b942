"""One connection to RabbitMQ: what it hands out, what it gives back, and what becomes of it when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from events.brokers.amqp.channel import ConsumerChannel
from events.brokers.contract import MessageGroup
from events.brokers.rabbitmq import RabbitmqBroker
from events.subscription import Subscription
from tests.events.brokers.test_consumer import channel, leave_effect, numbers, send
from tests.support.broker_case import only, our_broker, waiting_messages, working

Eventually = Callable[..., None]

pytestmark = [
    pytest.mark.rabbitmq,
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("vhost"),
]


@pytest.fixture
def broker() -> RabbitmqBroker:
    return our_broker()


@pytest.fixture
def subscription(broker: RabbitmqBroker) -> Iterator[Subscription]:
    with only(broker, leave_effect, group=10) as one, channel(one, broker):
        yield one


def take(session: ConsumerChannel, subscription: Subscription) -> MessageGroup:
    """What is handed out first."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if arrivals := session.take(timeout=0.1):
            return MessageGroup(arrivals, subscription=subscription, origin=session)
    raise TimeoutError("nothing arrived")


def test_what_nobody_was_handed_goes_back_and_what_was_can_still_be_settled(
    broker: RabbitmqBroker, subscription: Subscription, eventually: Eventually
) -> None:
    send(broker, *["calm"] * 100)
    session = ConsumerChannel(broker.parameters, subscription, prefetch=60)
    handed_out = take(session, subscription)
    session.stop_consuming()
    session.stop_consuming()

    def left(count: int) -> bool:
        assert session.take(timeout=0.05) == []
        with channel(subscription, broker) as other:
            return other.queue_declare(subscription.queue, passive=True).method.message_count == count

    eventually(lambda: left(100 - len(handed_out.messages)), within=30)
    session.settle(handed_out, done=True)
    session.close()
    assert len(waiting_messages(subscription.queue)) == 100 - len(handed_out.messages)


def test_a_session_that_never_opened_can_be_closed(broker: RabbitmqBroker, subscription: Subscription) -> None:
    session = ConsumerChannel(broker.parameters, subscription, prefetch=10)
    session.stop_consuming()
    session.close()
    assert not session.is_open


def test_what_has_its_outcome_after_the_end_of_its_connection_is_delivered_again(
    broker: RabbitmqBroker, subscription: Subscription
) -> None:
    send(broker, "calm", "calm")
    session = ConsumerChannel(broker.parameters, subscription, prefetch=10)
    late = take(session, subscription)
    session.close()
    session.settle(late, done=True)
    again = ConsumerChannel(broker.parameters, subscription, prefetch=10)
    redelivered = take(again, subscription)
    assert [one.redelivered for one in redelivered.messages] == [True]
    again.settle(redelivered, done=True)
    again.close()


def test_a_redelivered_message_is_handed_out_when_no_other_is_under_way_in_the_process(
    broker: RabbitmqBroker, subscription: Subscription
) -> None:
    send(broker, "calm", "calm")
    killed = ConsumerChannel(broker.parameters, subscription, prefetch=10)
    take(killed, subscription)
    killed.close()
    sessions = [ConsumerChannel(broker.parameters, subscription, prefetch=1) for _ in range(2)]
    first = take(sessions[0], subscription)
    deadline = time.monotonic() + 30
    while not sessions[1].is_open and time.monotonic() < deadline:
        sessions[1].take(timeout=0.1)
    assert [sessions[1].take(timeout=0.1) for _ in range(5)] == [[]] * 5
    sessions[0].settle(first, done=True)
    second = take(sessions[1], subscription)
    assert [one.redelivered for one in (*first.messages, *second.messages)] == [True, True]
    sessions[1].settle(second, done=True)
    for session in sessions:
        session.close()


def test_a_consumer_whose_queue_is_deleted_makes_it_anew(broker: RabbitmqBroker, eventually: Eventually) -> None:
    with only(broker, leave_effect) as subscription, working(broker):
        send(broker, "calm")
        eventually(lambda: numbers() == [0], within=30)
        with channel(subscription, broker) as operator:
            operator.queue_delete(subscription.queue)
        eventually(lambda: consumers(broker, subscription.queue) == 1, within=30)
        send(broker, "calm", "calm")
        eventually(lambda: numbers() == [0, 0, 1], within=30)


def consumers(broker: RabbitmqBroker, queue: str) -> int:
    """How many consume a queue; none does if it is not there."""
    with pika.BlockingConnection(broker.parameters) as connection:
        try:
            return connection.channel().queue_declare(queue, passive=True).method.consumer_count
        except ChannelClosedByBroker:
            return 0
