"""The consuming connection: what it hands out, what it gives back, and what becomes of it when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from events.brokers.amqp.consuming import ConsumingConnection, QueueLink
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


@contextmanager
def consuming(broker: RabbitmqBroker, subscription: Subscription, *, prefetch: int = 10) -> Iterator[QueueLink]:
    """The queue at a connection of its own."""
    link = ConsumingConnection(broker).add(subscription, prefetch=prefetch)
    assert link is not None
    yield link
    link.close()


def take(link: QueueLink, *, limit: int = 10) -> MessageGroup:
    """What is handed out first."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        origin, arrivals = link.intake.take(limit, timeout=0.1)
        if arrivals:
            return MessageGroup(arrivals, subscription=link.subscription, origin=origin)
    raise TimeoutError("nothing arrived")


def test_what_nobody_was_handed_goes_back_and_what_was_can_still_be_settled(
    broker: RabbitmqBroker, subscription: Subscription, eventually: Eventually
) -> None:
    send(broker, *["calm"] * 100)
    with consuming(broker, subscription, prefetch=60) as link:
        handed_out = take(link)
        link.stop()
        link.stop()

        def left(count: int) -> bool:
            assert link.intake.take(0, timeout=0.05)[1] == []
            with channel(subscription, broker) as other:
                return other.queue_declare(subscription.queue, passive=True).method.message_count == count

        eventually(lambda: left(100 - len(handed_out.messages)), within=30)
        handed_out.origin.settle(handed_out, done=True)
    assert len(waiting_messages(subscription.queue)) == 100 - len(handed_out.messages)


def test_a_queue_at_a_connection_that_never_opened_can_be_let_go() -> None:
    broker = RabbitmqBroker(host="127.0.0.1", port=1)
    with only(broker, leave_effect) as subscription, consuming(broker, subscription) as link:
        link.stop()
        assert link.channel is None


def test_what_has_its_outcome_after_the_end_of_its_connection_is_delivered_again(
    broker: RabbitmqBroker, subscription: Subscription
) -> None:
    send(broker, "calm", "calm")
    with consuming(broker, subscription) as link:
        late = take(link)
    late.origin.settle(late, done=True)
    with consuming(broker, subscription) as again:
        redelivered = take(again)
        assert [one.redelivered for one in redelivered.messages] == [True]
        redelivered.origin.settle(redelivered, done=True)


def test_a_redelivered_message_is_handed_out_when_no_other_is_under_way_in_the_process(
    broker: RabbitmqBroker, subscription: Subscription, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(broker, "calm", "calm")
    with consuming(broker, subscription) as killed:
        take(killed)
    monkeypatch.setattr("events.brokers.amqp.consuming.prefetch_for", lambda *_: 1)
    with consuming(broker, subscription) as one, consuming(broker, subscription) as other:
        first = take(one)
        eventually(lambda: other.channel is not None and other.channel.is_open)
        assert [other.intake.take(10, timeout=0.1)[1] for _ in range(5)] == [[]] * 5
        first.origin.settle(first, done=True)
        second = take(other)
        assert [message.redelivered for message in (*first.messages, *second.messages)] == [True, True]
        second.origin.settle(second, done=True)


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
