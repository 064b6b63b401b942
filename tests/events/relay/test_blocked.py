"""The relay and a RabbitMQ in trouble: it is down, it is blocked, it forbids to hold messages for long. All that only
delays."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator

import pika
import pytest
from django.db import connection, transaction

from events.brokers.amqp.publisher import PublishError, RabbitmqPublisher
from events.brokers.contract import GivenUpError, Outgoing
from events.brokers.rabbitmq import RabbitmqBroker
from events.bus import emit, emit_many
from events.models import Delivery, OutboxMessage
from events.relay.lease import LEASE
from events.relay.models import RelayTerm
from events.relay.relay import Relay
from events.subscription import subscriptions
from tests.conformance.processes import Manage
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.support.effects import all_done, ring
from tests.support.servers.rabbitmq import Node, running_node

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.timeout(600)]

Eventually = Callable[..., None]
#: How long RabbitMQ lets a consumer hold a message, in ms (30 minutes by default), and how often it looks.
CONFIGURATION = "[{rabbit, [{consumer_timeout, 5000}, {channel_tick_interval, 1000}]}]."
#: What 90 minutes are to 30.
LONG = dt.timedelta(seconds=15)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running_node(tmp_path_factory.mktemp("server") / "node", configuration=CONFIGURATION) as node:
        yield node


@pytest.fixture
def broker(node: Node) -> RabbitmqBroker:
    broker = RabbitmqBroker(host="127.0.0.1", port=node.port, heartbeat=4)
    for subscription in subscriptions.values():
        broker.subscribe(subscription)
    with pika.BlockingConnection(broker.parameters) as connection:
        for queue in broker.subscriptions:  # with what an earlier test left in them
            connection.channel().queue_delete(queue)
    return broker


def message(number: int) -> Outgoing:
    return Outgoing("nobody.subscribes", "", b"{}", str(number))


def open_transactions() -> int:
    """Transactions of this test's database that are open and idle."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )
        return cursor.fetchone()[0]


@pytest.mark.slow
def test_a_blocked_broker_is_waited_for_beyond_heartbeats_and_time_outs_with_no_transaction_open(
    transactional_db: None, node: Node, broker: RabbitmqBroker, eventually: Eventually
) -> None:
    ring(700)
    courier = broker.courier()
    courier._publisher._timeout = 3.0
    carried: list[int] = []

    def carry() -> None:
        while sum(carried) < 700:
            carried.append(courier.carry())
        courier.close()

    courier._publisher.publish([message(0)])  # it has a connection before the alarm
    with node.blocked():
        relay = threading.Thread(target=carry)
        relay.start()
        eventually(lambda: courier._publisher.blocked, within=20)
        begun = time.monotonic()
        while time.monotonic() - begun < 10:  # longer than the time-out and two heartbeats
            assert relay.is_alive()
            assert open_transactions() == 0
            assert courier._publisher.blocked
            time.sleep(0.2)
        assert carried == []
        assert OutboxMessage.objects.count() == 700
    relay.join(60)
    assert carried == [500, 200]
    assert not OutboxMessage.objects.exists()


def test_the_doctor_names_a_server_that_takes_no_messages(node: Node, broker: RabbitmqBroker) -> None:
    assert not [finding for finding in broker.examine() if "takes no messages" in finding.problem]
    with node.blocked():
        (blocked,) = [finding for finding in broker.examine() if "takes no messages" in finding.problem]
    assert "memory" in blocked.problem
    assert "vm_memory_high_watermark" in blocked.cure


def test_one_who_waits_for_a_blocked_broker_can_be_told_to_stop(node: Node, broker: RabbitmqBroker) -> None:
    stop = threading.Event()
    publisher = RabbitmqPublisher(broker, go_on=lambda: not stop.is_set())
    publisher.publish([message(0)])
    with node.blocked():
        threading.Timer(2.0, stop.set).start()
        answers = publisher.publish([message(number) for number in range(10)])
        assert isinstance(answers.error, GivenUpError)
        assert not answers.confirmed
    publisher.close()


def test_a_blocked_broker_costs_no_lease(
    transactional_db: None, node: Node, broker: RabbitmqBroker, eventually: Eventually
) -> None:
    """The relay that waits for it is not stuck, and another one would wait for it, too."""
    stop = threading.Event()
    relays = [Relay(broker, stop=stop) for _ in range(2)]
    threads = [threading.Thread(target=relay.run) for relay in relays]
    ring(1)
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: not OutboxMessage.objects.exists())
        term = RelayTerm.objects.latest("number").number
        with node.blocked():
            ring(1, start=1)
            begun = time.monotonic()
            while time.monotonic() - begun < 1.5 * LEASE:
                assert [relay.active for relay in relays].count(True) == 1
                time.sleep(0.1)
            assert OutboxMessage.objects.exists()
            assert RelayTerm.objects.latest("number").number == term
        eventually(lambda: not OutboxMessage.objects.exists())
        assert RelayTerm.objects.latest("number").number == term
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)


def test_a_broker_that_was_down_is_found_again(
    transactional_db: None, node: Node, broker: RabbitmqBroker, eventually: Eventually
) -> None:
    ring(10)
    courier = broker.courier()
    node.control("stop_app")
    with pytest.raises(PublishError):
        courier.carry()
    assert OutboxMessage.objects.count() == 10
    node.control("start_app")
    assert courier.carry() == 10
    ring(10)
    node.control("stop_app")
    with pytest.raises(PublishError):
        courier.carry()
    assert OutboxMessage.objects.count() == 10
    node.control("start_app")
    assert courier.carry() == 10
    courier.close()


@pytest.mark.slow
def test_a_delay_three_times_the_consumer_time_out_is_untouched_by_it(
    manage: Manage, node: Node, broker: RabbitmqBroker, eventually: Eventually
) -> None:
    manage.worker(MQ_PORT=str(node.port), MQ_VHOST="/")
    ring(1)
    eventually(lambda: all_done(1), within=90)
    with transaction.atomic():
        delayed = emit(Rang(number=1), delay=LONG)
        emit_many([Rang(number=number) for number in range(2, 12)])
    due = OutboxMessage.objects.get(event_id=delayed).due
    held_for_too_long(broker)
    eventually(lambda: Effect.objects.filter(subscriber="alone").count() == 12, within=90)
    (delivery,) = Delivery.objects.filter(event_id=delayed, subscriber="effects.alone")
    assert due is not None
    assert dt.timedelta(0) <= delivery.at - due < dt.timedelta(seconds=5)
    assert "PRECONDITION_FAILED" not in manage.log()


def held_for_too_long(broker: RabbitmqBroker) -> None:
    """A consumer that holds a message, as stock dramatiq does with a delayed one, loses its channel on this node."""
    with pika.BlockingConnection(broker.parameters) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_publish("", queue, b"held")
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="PRECONDITION_FAILED"):
            for _ in channel.consume(queue, inactivity_timeout=30):
                pass
