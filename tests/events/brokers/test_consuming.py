"""The one connection of a worker: what shares it, what does not disturb it, and how many bytes come through."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest
from django.db import transaction

from events.brokers.amqp.calls import briefly
from events.brokers.amqp.consuming import ConsumingConnection
from events.brokers.amqp.prefetch import FIRST, PrefetchWindow
from events.brokers.contract import MessageGroup, Outgoing
from events.brokers.rabbitmq import RabbitmqBroker
from events.brokers.redelivered import RedeliveredQueue
from events.bus import emit_many, subscriber
from events.inbox.message import ReceivedMessage
from events.models import Delivery
from events.subscription import Subscription, subscriptions
from events.worker.actors import declare_actor
from tests.conformance.rabbitmq import rabbitmqctl
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.events.brokers.test_consumer import leave_effect
from tests.support.broker_case import close_connections, only, our_broker, working
from tests.support.logs import captured_logs
from tests.support.own_subscribers import own_subscribers

Eventually = Callable[..., None]
Several = tuple[RabbitmqBroker, list[Subscription]]

on_services = [
    pytest.mark.rabbitmq,
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("vhost"),
]


def services(test: Callable) -> Callable:
    """A test on RabbitMQ and PostgreSQL."""
    for mark in on_services:
        test = mark(test)
    return test


@pytest.fixture
def several() -> Iterator[Several]:
    """Five subscribers on a broker of their own."""
    broker = our_broker()
    with own_subscribers():
        subscriptions.clear()
        for _ in range(5):
            name = f"test.several_{uuid.uuid4().hex[:8]}"
            subscriber(Rang, name=name)(lambda event: Effect.objects.create(subscriber="test", number=event.number))
        for subscription in subscriptions.values():
            declare_actor(broker, subscription)
        yield broker, list(subscriptions.values())
        with briefly(broker.parameters) as calls:
            for subscription in subscriptions.values():
                calls.channel().queue_delete(subscription.queue)


def names_of_connections(vhost: str) -> list[str]:
    """The role of each connection to this run's vhost."""
    lines = rabbitmqctl("list_connections", "--no-table-headers", "vhost", "client_properties").splitlines()
    return sorted(
        line.partition('"connection_name","')[2].split()[1]
        for line in lines
        if line.split("\t")[0] == vhost and "airy " in line  # the site of browser tests has one that begins alike
    )


@services
def test_at_a_limit_of_two_connections_a_worker_of_five_subscribers_and_a_relay_flow(
    vhost: str, several: Several, eventually: Eventually
) -> None:
    broker, _ = several
    rabbitmqctl("set_vhost_limits", "-p", vhost, '{"max-connections": 2}')
    courier = broker.courier()
    try:
        with captured_logs() as lines, working(broker):
            for turn in range(2):
                with transaction.atomic():
                    emit_many([Rang(number=turn * 100 + number, mood="calm") for number in range(100)])
                while courier.carry():
                    pass
                eventually(
                    lambda turn=turn: Delivery.objects.filter(state="done").count() == (turn + 1) * 500, within=60
                )
            answer: list[set[str]] = []
            question = threading.Thread(target=lambda: answer.append(broker.idle(broker.queues)))
            question.start()
            eventually(lambda: courier.keep_alive() or answer)
            question.join()
            assert answer == [set(broker.queues)]
            assert names_of_connections(vhost) == ["relay", "worker"]
    finally:
        courier.close()
        rabbitmqctl("clear_vhost_limits", "-p", vhost)
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == []


@services
def test_a_channel_that_the_broker_closes_disturbs_no_other_and_opens_again(
    several: Several, eventually: Eventually
) -> None:
    broker, (first, second, *_) = several

    def consumers(queue: str) -> int:
        with briefly(broker.parameters) as calls:
            return int(calls.channel().queue_declare(queue, passive=True).method.consumer_count)

    with captured_logs() as lines, working(broker) as worker:
        eventually(lambda: all(worker.consumers[one.queue].consumer for one in (first, second)))
        links = [worker.consumers[one.queue].consumer._link for one in (first, second)]
        eventually(lambda: all(link.channel is not None and link.channel.is_open for link in links), within=30)
        channels = [link.channel for link in links]
        # What the server does when a message is held for too long, and whatever else ends a channel.
        channels[0]._connection.post(lambda: channels[0]._channel.basic_ack(4711))
        eventually(lambda: links[0].channel not in (None, channels[0]) and consumers(first.queue) == 1, within=30)
        assert links[1].channel is channels[1]
        with transaction.atomic():
            emit_many([Rang(number=1, mood="calm")])
        courier = broker.courier()
        courier.carry()
        courier.close()
        eventually(lambda: Delivery.objects.filter(state="done").count() == 5, within=30)
    (line,) = [line for line in lines if line["log_level"] == "warning"]
    assert (line["event"], line["queue"]) == ("no messages from RabbitMQ", first.queue)
    assert "unknown delivery tag" in line["error"]


def test_the_window_grows_while_messages_are_small_and_shrinks_when_they_are_large() -> None:
    window = PrefetchWindow(200, budget=16_000_000)
    sizes = []
    for _ in range(3):
        while window.next_size() == window.size and window._messages < window.size:
            window.arrived(300)
        window.size = window.next_size()
        sizes.append(window.size)
    assert sizes == [32, 200, 200]
    window.settled(100, 100 * 300)
    window.arrived(4_000_000)
    assert window.next_size() == 4
    window.size = 4
    for _ in range(2_000):
        window.arrived(300)
        window.settled(1, 300)
    assert window.next_size() == 64
    assert PrefetchWindow(1, budget=1).size == 1


@services
@pytest.mark.parametrize(("messages", "size"), [(40, 1_000_000), pytest.param(100, 4_000_000, marks=pytest.mark.slow)])
def test_large_messages_that_wait_are_held_within_the_bound(
    messages: int,
    size: int,
    several: tuple[RabbitmqBroker, list[Subscription]],
    monkeypatch: pytest.MonkeyPatch,
    eventually: Eventually,
) -> None:
    """Nobody settles anything: what is held stays held. Without a bound it would be 200 of each."""
    budget = 10_000_000
    monkeypatch.setattr("events.brokers.amqp.consuming.HELD_BYTES", 2 * budget)
    broker, pair = several[0], several[1][:2]
    broker.topology.declare(pair)
    body = json.dumps({"filler": "x" * size}).encode()
    publisher = broker.courier()._publisher
    for _ in range(messages // 20):
        for one in pair:
            publisher.publish([Outgoing("", one.queue, body, str(number)) for number in range(20)])
    publisher.close()
    connection = ConsumingConnection(broker)
    links = [connection.add(one, prefetch=16) for one in pair]

    def waiting() -> list[int]:
        sizes = broker.topology.sizes([one.queue for one in pair])
        return [found.messages for found in sizes.values() if found is not None]

    held = max(FIRST, budget // len(body))
    try:
        eventually(lambda: [link.channel._window._messages for link in links if link.channel] == [held] * 2, within=60)
        assert waiting() == [messages - held] * 2
    finally:
        for link in links:
            link.close()


@services
def test_what_a_stop_hands_back_is_fresh_and_goes_first_to_the_next_worker(eventually: Eventually) -> None:
    """Not one of them runs alone, and their order, attempt and priority stay."""
    taken: list[list[tuple[int, int, bool, int]]] = []

    def note(events: list[Rang]) -> None:
        taken.append([event.number for event in events])

    broker = our_broker()
    with only(broker, note, batch=50) as subscription:
        with transaction.atomic():
            emit_many([Rang(number=number, mood="calm") for number in range(300)], priority=3)
        courier = broker.courier()
        while courier.carry():
            pass
        courier.close()
        link = ConsumingConnection(broker).add(subscription, prefetch=16)
        eventually(lambda: link.channel and link.channel._window._messages == 200)
        origin, some = link.intake.take(50, timeout=5)
        group = MessageGroup(some, subscription=subscription, origin=origin)
        link.stop()
        group.origin.hand_back(group)
        link.close()
        again = ConsumingConnection(broker).add(subscription, prefetch=16)
        eventually(lambda: again.channel and again.channel._window._messages == 200)
        messages = again.intake.take(200, timeout=5)[1]
        again.stop()
        again.close()
    assert {(one.redelivered, one.attempt, one.run, one.priority) for one in messages} == {(False, 1, 0, 3)}
    assert {one.envelope.data["number"] for one in messages} == set(range(200))


@services
def test_what_a_lost_connection_brings_again_is_suspect_only_if_it_was_taken(eventually: Eventually) -> None:
    """The process lives, and has not started the others."""
    broker = our_broker()
    with only(broker, leave_effect) as subscription:
        with transaction.atomic():
            emit_many([Rang(number=number, mood="calm") for number in range(30)])
        courier = broker.courier()
        courier.carry()
        courier.close()
        link = ConsumingConnection(broker).add(subscription, prefetch=16)
        eventually(lambda: link.channel and link.channel._window._messages == 30)
        taken = {one.event_id for one in link.intake.take(10, timeout=5)[1]}
        close_connections()
        again: list[ReceivedMessage] = []

        def come_again() -> bool:
            again.extend(link.intake.take(50, timeout=0.1)[1])
            RedeliveredQueue.settled([one for one in again[-1:] if one.redelivered] or [FRESH])
            return len(again) == 30

        eventually(come_again, within=30)
        link.close()
    assert {one.event_id for one in again if one.redelivered} == taken
    assert len(taken) == 10


#: Stands for a message that had no turn.
FRESH = ReceivedMessage(envelope=None, body=b"")
