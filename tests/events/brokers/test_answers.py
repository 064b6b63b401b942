"""The broker's answers count one by one: what a queue does not take delays that queue's subscriber alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
import pika
import pytest
from django.db import DatabaseError, connection, transaction

from events.brokers import refusals
from events.brokers.contract import ROWS_PER_PASS
from events.brokers.publish_outbox import CourierMemory, PublishingCourier
from events.brokers.rabbitmq import RabbitmqBroker
from events.bus import emit_many
from events.models import OutboxMessage
from tests.conformance.rabbitmq import rabbitmqctl, remove_queues
from tests.effects.events import Knocked
from tests.support.broker_case import waiting_messages
from tests.support.effects import ring

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]

Eventually = Callable[..., None]
LIMIT = 20
#: The queues of the subscribers of `Rang`.
QUEUES = ("moody", "in_batches", "alone", "asynchronous")


@pytest.fixture
def broker(vhost: str) -> Iterator[RabbitmqBroker]:
    yield dramatiq.get_broker()
    remove_queues()


@pytest.fixture
def courier(
    broker: RabbitmqBroker, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PublishingCourier]:
    monkeypatch.setattr(broker, "_memory", CourierMemory())
    monkeypatch.setattr(refusals, "LONGEST_PAUSE", 1.0)
    courier = broker.courier()
    yield courier
    courier.close()


@pytest.fixture
def channel(broker: RabbitmqBroker) -> Iterator[Any]:
    with pika.BlockingConnection(broker.parameters) as connection:
        yield connection.channel()


def waiting(channel: Any, name: str) -> int:
    return channel.queue_declare(f"airy.effects.{name}", passive=True).method.message_count


def emitted_ids(channel: Any, name: str) -> Counter[str]:
    """How often each event is in a queue, which is emptied."""
    found: Counter[str] = Counter()
    while (got := channel.basic_get(f"airy.effects.{name}", auto_ack=True))[0]:
        found[got[2].decode().split('"id":"')[1][:36]] += 1
    return found


@contextmanager
def full(vhost: str, *names: str) -> Iterator[None]:
    """Their queues take no more than LIMIT messages."""
    limit = f'{{"max-length": {LIMIT}, "overflow": "reject-publish"}}'
    pattern = rf"^airy\.effects\.({'|'.join(names)})$"
    rabbitmqctl("set_policy", "-p", vhost, "--apply-to", "queues", "full", pattern, limit)
    try:
        yield
    finally:
        rabbitmqctl("clear_policy", "-p", vhost, "full")


def fill(channel: Any, *names: str) -> None:
    """Fill queues up to the point at which they refuse."""
    channel.confirm_delivery()
    for name in names:
        with pytest.raises(pika.exceptions.NackError):
            for _ in range(10_000):
                channel.basic_publish("", f"airy.effects.{name}", b"filling")


@contextmanager
def read_only_database() -> Iterator[None]:
    """This test's database takes no writes, whichever session asks."""
    database = connection.ops.quote_name(connection.settings_dict["NAME"])

    def alter(change: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute(f"ALTER DATABASE {database} {change}")
        connection.close()
        connection.close_pool()

    alter("SET default_transaction_read_only = on")
    try:
        yield
    finally:
        alter("RESET default_transaction_read_only")


def carry(courier: PublishingCourier) -> None:
    while courier.carry():
        pass


def owed_to() -> set[str]:
    return set(OutboxMessage.objects.values_list("subscriber", flat=True))


def test_one_full_queue_delays_its_own_subscriber_and_doubles_one_batch_at_most(
    courier: PublishingCourier, channel: Any, vhost: str, eventually: Eventually
) -> None:
    ring(1)
    carry(courier)
    ids = []
    with full(vhost, "alone"):
        fill(channel, "alone")
        for number in range(1, 6):
            ids += ring(30, start=100 * number)
            carry(courier)
            assert owed_to() <= {"effects.alone"}
        eventually(lambda: carry(courier) or owed_to() == {"effects.alone"})
        assert OutboxMessage.objects.count() == 150
        for name in ("moody", "in_batches", "asynchronous"):
            copies = emitted_ids(channel, name)
            assert set(map(str, ids)) <= set(copies)
            # The first batch was refused before anybody knew by whom; then one copy a second shows who else refuses.
            assert sum(copies.values()) <= 1 + 150 + 30 + 10
        channel.queue_purge("airy.effects.alone")
    eventually(lambda: carry(courier) or not OutboxMessage.objects.exists(), within=60)
    assert set(map(str, ids)) <= set(emitted_ids(channel, "alone"))


def test_two_full_queues_have_all_their_events_in_the_end_and_the_third_has_them_at_once(
    courier: PublishingCourier, channel: Any, vhost: str, eventually: Eventually
) -> None:
    ring(1)
    carry(courier)
    with full(vhost, "alone", "moody"):
        fill(channel, "alone")
        ids = ring(10)
        carry(courier)
        fill(channel, "moody")  # while it is known that the other one refuses
        ids += ring(10, start=100)
        carry(courier)
        ids += ring(10, start=200)
        eventually(lambda: carry(courier) or owed_to() == {"effects.alone", "effects.moody"})
        assert set(map(str, ids)) <= set(emitted_ids(channel, "in_batches"))
        emptied = Counter[str]()
        for name in ("alone", "moody"):
            channel.queue_purge(f"airy.effects.{name}")
    eventually(lambda: carry(courier) or not OutboxMessage.objects.exists(), within=60)
    for name in ("alone", "moody"):
        emptied = emitted_ids(channel, name)
        missing = set(map(str, ids)) - set(emptied)
        assert len(missing) <= (LIMIT if name == "moody" else 0), name  # what it had taken before it was emptied


def test_a_full_queue_of_somebody_else_holds_up_and_doubles_nothing_for_long(
    courier: PublishingCourier, channel: Any, broker: RabbitmqBroker, eventually: Eventually
) -> None:
    ring(1)
    carry(courier)
    channel.queue_declare("airy.effects.foreign", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    channel.queue_bind("airy.effects.foreign", broker.exchange, "#")
    try:
        for number in range(10):
            ring(10, start=100 * number)
            carry(courier)
        assert not OutboxMessage.objects.exists()
        copies = sum(emitted_ids(channel, "moody").values())
        assert 101 <= copies <= 1 + 100 + 3 * 10 + 20
    finally:
        channel.queue_delete("airy.effects.foreign")


def test_a_topic_that_a_full_queue_does_not_want_goes_on(courier: PublishingCourier, channel: Any, vhost: str) -> None:
    ring(1)
    carry(courier)
    with full(vhost, *QUEUES):
        fill(channel, *QUEUES)
        ring(30)
        courier.carry()
        courier.carry()
        with transaction.atomic():
            others = emit_many([Knocked(number=1)])
        carry(courier)
        assert not OutboxMessage.objects.filter(event_id__in=others).exists()


def test_what_was_confirmed_is_never_published_again_while_the_database_takes_no_writes(
    courier: PublishingCourier, broker: RabbitmqBroker, channel: Any
) -> None:
    ring(50)
    with read_only_database():
        for number in range(5):
            with pytest.raises(DatabaseError, match="read-only"):
                courier.carry()
            if number == 2:  # the relay begins its next term with a new courier
                courier.close()
                courier = broker.courier()
    ring(5, start=100)
    carry(courier)
    assert not OutboxMessage.objects.exists()
    for name in QUEUES:
        assert waiting(channel, name) == 55
    courier.close()


def test_rows_that_are_read_while_the_broker_answers_are_published_once_and_in_order(
    courier: PublishingCourier, channel: Any
) -> None:
    ring(2 * ROWS_PER_PASS + 100)
    assert courier.carry() == ROWS_PER_PASS
    ring(1, start=5_000, priority=9)
    carry(courier)
    assert not OutboxMessage.objects.exists()
    expected = [*range(2 * ROWS_PER_PASS + 100)]
    found = [json.loads(body)["data"]["number"] for body in waiting_messages("airy.effects.alone")]
    assert found.pop(0) == 5_000, "the queue hands out the urgent one first"
    assert found == expected


def test_what_was_read_ahead_is_asked_for_again_after_an_error(
    courier: PublishingCourier, broker: RabbitmqBroker, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring(ROWS_PER_PASS + 200)
    with read_only_database(), pytest.raises(DatabaseError, match="read-only"):
        courier.carry()
    monkeypatch.setattr(broker, "_memory", CourierMemory())
    other = broker.courier()  # of a relay in another process
    carry(other)
    assert not OutboxMessage.objects.exists()
    carry(courier)
    assert waiting(channel, "alone") == 2 * ROWS_PER_PASS + 200
    other.close()
