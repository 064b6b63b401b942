"""The consumer on RabbitMQ: what it groups, what it keeps, and how it comes back and leaves."""

from __future__ import annotations

import json
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import dramatiq
import pika
import psycopg
import pytest
from django.db import transaction
from dramatiq.broker import Broker
from dramatiq.worker import Worker

from events.brokers.amqp.acks import AckWindow
from events.brokers.amqp.declare import declare
from events.brokers.amqp.prefetch import prefetch_for
from events.brokers.embedded import EmbeddedBroker
from events.brokers.rabbitmq import RabbitmqBroker
from events.bus import emit_many
from events.inbox.message import ReceivedMessage
from events.models import Attempt, Delivery, OutboxMessage
from events.pool import get_pool
from events.subscription import Subscription
from events.worker.shutdown import OrderlyShutdown
from tests.conformance.processes import Manage, database_url
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.support.broker_case import only, our_broker, waiting_messages, working
from tests.support.effects import all_done, assert_one_effect_each, ring
from tests.support.logs import captured_logs

Eventually = Callable[..., None]

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


def leave_effect(event: Rang) -> None:
    Effect.objects.create(subscriber="test", number=event.number)


def numbers() -> list[int]:
    return sorted(Effect.objects.filter(subscriber="test").values_list("number", flat=True))


def send(broker: RabbitmqBroker, *moods: str) -> None:
    """Emit and relay to RabbitMQ."""
    with transaction.atomic():
        emit_many([Rang(number=number, mood=mood) for number, mood in enumerate(moods)])
    courier = broker.courier()
    while courier.carry():
        pass
    courier.close()


@contextmanager
def channel(subscription: Subscription, broker: RabbitmqBroker) -> Iterator[Any]:
    """Another program, which knows the subscriber's queue."""
    with pika.BlockingConnection(broker.parameters) as connection:
        opened = connection.channel()
        declare(opened, broker, [subscription])
        yield opened


def test_the_window_acknowledges_up_to_the_first_open_delivery() -> None:
    acks = AckWindow()
    acks.done([2, 3])
    assert acks.advance() == 0
    acks.done([1])
    assert acks.advance() == 3
    assert acks.advance() == 0
    acks.given_back([4])
    acks.done([5])
    assert acks.advance() == 5


def test_what_is_done_past_a_slow_one_is_acknowledged_singly_when_it_is_much() -> None:
    acks = AckWindow()
    acks.done([4, 2, 3])
    assert acks.take_single(more_than=3) == []
    assert acks.take_single(more_than=2) == [2, 3, 4]
    acks.done([1, 5])
    assert acks.advance() == 5
    assert acks.take_single() == []


def test_a_process_holds_no_more_messages_than_its_pool_has_slots_for() -> None:
    single, grouped = (
        Subscription(name="one", function=print, origin="", patterns=("#",), group=group) for group in (1, 50)
    )
    pool, size = get_pool(), get_pool().capacity
    try:
        pool.resize(4)
        assert (prefetch_for(single, 16), prefetch_for(grouped, 16)) == (5, 200)
        pool.resize(1)
        assert (prefetch_for(single, 16), prefetch_for(grouped, 16)) == (2, 100)
        pool.resize(10_000)
        assert (prefetch_for(single, 16), prefetch_for(grouped, 16)) == (16, 200)
    finally:
        pool.resize(size)


def test_a_lost_connection_is_tried_again_with_growing_pauses_and_one_line_each(unreachable: RabbitmqBroker) -> None:
    with only(unreachable, leave_effect) as subscription, captured_logs() as lines:
        consumer = unreachable.consume(subscription.queue, prefetch=1, timeout=1)
        deadline = time.monotonic() + 60
        while len(lines) < 4 and time.monotonic() < deadline:
            assert next(consumer) is None
        consumer.close()
    pauses = [line["again_in"] for line in lines]
    assert [line["log_level"] for line in lines] == ["warning"] * 4
    assert not any("exc_info" in line for line in lines)
    for tries, pause in enumerate(pauses):
        assert 0.5 * 2**tries <= pause <= 2 * 0.5 * 2**tries
    assert len(set(pauses)) == 4
    assert all(later > earlier for earlier, later in pairwise(pauses))


@pytest.fixture
def unreachable() -> RabbitmqBroker:
    """A broker that nobody runs."""
    return RabbitmqBroker(host="127.0.0.1", port=1, middleware=[OrderlyShutdown()])


def test_a_worker_whose_broker_is_away_ends_at_once(unreachable: RabbitmqBroker) -> None:
    with only(unreachable, leave_effect) as subscription, captured_logs() as lines:
        with working(unreachable) as worker:
            deadline = time.monotonic() + 30
            while len(lines) < 3 and time.monotonic() < deadline:
                time.sleep(0.02)
            thread = worker.consumers[subscription.queue]
            asked = time.monotonic()
        assert time.monotonic() - asked < lines[-1]["again_in"] + 5
        assert not thread.is_alive()


def test_an_embedded_worker_that_ends_puts_back_what_no_thread_has_begun() -> None:
    broker = EmbeddedBroker(middleware=[OrderlyShutdown()])
    with only(broker, leave_effect, group=10) as subscription:
        given = [ReceivedMessage(envelope=None, body=str(number).encode(), tag=(number, 1)) for number in range(25)]
        mailbox = broker.mailboxes[subscription.queue]
        mailbox.put(given)
        worker = Worker(broker, worker_threads=0, worker_timeout=50)
        worker.start()
        deadline = time.monotonic() + 30
        while mailbox.size() and time.monotonic() < deadline:
            time.sleep(0.01)
        worker.stop(timeout=10_000)
        assert sorted(mailbox.take(100, timeout=0), key=lambda one: one.tag) == given


@services
def test_waiting_events_share_a_group_and_dramatiqs_middleware_is_called_for_each_message(
    eventually: Eventually,
) -> None:
    calls: dict[str, int] = {}

    class Spy(dramatiq.Middleware):
        def before_process_message(self, broker: Broker, message: Any) -> None:
            calls["before"] = calls.get("before", 0) + 1

        def after_process_message(self, broker: Broker, message: Any, **outcome: Any) -> None:
            calls["after"] = calls.get("after", 0) + 1
            calls["events"] = calls.get("events", 0) + len(message.args)

        def after_ack(self, broker: Broker, message: Any) -> None:
            calls["ack"] = calls.get("ack", 0) + 1

    broker = our_broker()
    broker.add_middleware(Spy())
    with only(broker, leave_effect) as subscription:
        send(broker, *["calm"] * 300)
        with working(broker):
            eventually(lambda: numbers() == list(range(300)), within=60)
        assert calls["events"] == 300
        assert calls["before"] == calls["after"] == calls["ack"] < 150
        assert waiting_messages(subscription.queue) == []


@services
def test_a_single_event_does_not_wait_for_company(eventually: Eventually) -> None:
    broker = our_broker()
    with only(broker, leave_effect), working(broker):
        send(broker, "calm")
        eventually(lambda: numbers() == [0])


@services
def test_what_cannot_be_read_or_is_known_to_nobody_is_kept_with_its_bytes(eventually: Eventually) -> None:
    def wire(topic: str, data: object) -> bytes:
        return json.dumps({"id": str(uuid.uuid4()), "source": "/x", "type": topic, "data": data}).encode()

    broken = {
        b"\xff\x00 no json": "not a CloudEvent",
        b"": "not a CloudEvent",
        wire("nobody.declared_this", {}): "no event class is declared",
        wire("bell.rang", {"number": "many"}): "does not fit Rang",
        wire("bell.rang", [1]): "data: Input should be an object",
    }
    broker = our_broker()
    with only(broker, leave_effect) as subscription, channel(subscription, broker) as publisher:
        for body in broken:
            publisher.basic_publish("", subscription.queue, body)
            publisher.basic_publish("", subscription.queue, wire("bell.rang", {"number": 1}))
        with working(broker):
            eventually(lambda: len(numbers()) == len(broken), within=40)
            eventually(lambda: Delivery.objects.filter(state="dead").count() == len(broken), within=40)
        assert waiting_messages(subscription.queue) == []
    dead = {bytes(one.body): one.reason for one in Delivery.objects.filter(state="dead")}
    assert dead.keys() == broken.keys()
    for body, why in broken.items():
        assert why in dead[body]
    assert not OutboxMessage.objects.exists()


@services
def test_a_failure_that_the_database_does_not_take_down_is_held_until_it_does(eventually: Eventually) -> None:
    def fail(event: Rang) -> None:
        leave_effect(event)
        if event.mood == "poison":
            raise ValueError("poison")

    broker = our_broker()
    with only(broker, fail) as subscription, psycopg.connect(database_url(), autocommit=True) as operator:

        def blocked() -> list[int]:
            rows = operator.execute(
                "SELECT pid FROM pg_locks JOIN pg_class ON pg_class.oid = relation"
                " WHERE relname = 'events_attempt' AND NOT granted"
            )
            return [pid for (pid,) in rows]

        send(broker, "calm", "poison", "calm")
        with psycopg.connect(database_url()) as other, working(broker):
            other.execute("LOCK TABLE events_attempt IN ACCESS EXCLUSIVE MODE")
            for _ in range(3):
                eventually(blocked, within=30)
                for pid in blocked():
                    operator.execute("SELECT pg_terminate_backend(%s)", [pid])
            eventually(blocked, within=30)
            assert numbers() == [0, 2]
            other.execute("ALTER TABLE events_attempt RENAME TO events_attempt_elsewhere")
            other.commit()
            with captured_logs() as lines:
                eventually(lambda: any("does not exist" in line.get("error", "") for line in lines), within=30)
            other.execute("ALTER TABLE events_attempt_elsewhere RENAME TO events_attempt")
            other.commit()
            eventually(lambda: OutboxMessage.objects.filter(attempt=2).exists(), within=60)
        assert waiting_messages(subscription.queue) == []
    assert Attempt.objects.get().number == 1
    assert Delivery.objects.filter(state="done", attempts=1).count() == 2
    assert numbers() == [0, 2]


@services
def test_a_worker_that_ends_gives_back_at_once_what_no_thread_has_begun(eventually: Eventually) -> None:
    with psycopg.connect(database_url(), autocommit=True) as keeper:
        keeper.execute("SELECT pg_advisory_lock(77)")

        def wait(event: Rang) -> None:
            with transaction.get_connection().cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(77)")
            leave_effect(event)

        def begun() -> int:
            rows = keeper.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype='advisory' AND objid=77 AND NOT granted"
            )
            return rows.fetchone()[0]

        broker = our_broker()
        with only(broker, wait, group=1) as subscription:
            send(broker, *["calm"] * 12)

            def left() -> int:
                with channel(subscription, broker) as opened:
                    return opened.queue_declare(subscription.queue, passive=True).method.message_count

            with working(broker, threads=4, on_leaving=lambda: None) as worker:
                eventually(lambda: begun() == 2 and left() < 10)
                broker.emit_before("worker_shutdown", worker)  # what SIGTERM leads to, while both still run
                eventually(lambda: left() == 10)
                keeper.execute("SELECT pg_advisory_unlock(77)")
            assert len(numbers()) == 2
            with channel(subscription, broker) as opened:
                left_behind = [opened.basic_get(subscription.queue)[0] for _ in range(11)]
            assert [one and one.redelivered for one in left_behind] == [False] * 10 + [None]


@services
@pytest.mark.parametrize(("ends", "events"), [(2, 100), pytest.param(3, 200, marks=pytest.mark.slow)])
def test_workers_told_to_end_under_load_lose_nothing_double_nothing_and_cost_no_attempt(
    manage: Manage, eventually: Eventually, ends: int, events: int
) -> None:
    total = 0
    for _ in range(ends):
        ring(events, start=total)
        total += events
        worker = manage.worker()
        goal = (total - events // 2) * 4
        eventually(lambda goal=goal: Delivery.objects.count() >= goal, within=90)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    manage.worker()
    eventually(lambda: all_done(total), within=120)
    assert_one_effect_each(total)
    assert set(Delivery.objects.values_list("state", "attempts")) == {("done", 1)}
    assert not Attempt.objects.exists()
