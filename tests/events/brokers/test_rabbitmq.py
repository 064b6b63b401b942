"""RabbitMQ: the wire, the queues, and what happens when connections or relays go."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pika
import pytest
from django.db import transaction

from events.bus import emit, emit_many
from events.models import Delivery, OutboxMessage, Process, StoredEvent
from tests.conformance.processes import Manage
from tests.conformance.rabbitmq import rabbitmqctl
from tests.effects.events import Rang
from tests.effects.models import Effect
from tests.support.effects import all_done, assert_one_effect_each, ring

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]

Eventually = Callable[..., None]


@pytest.fixture
def channel(vhost: str) -> Iterator[Any]:
    """Another program on the same RabbitMQ."""
    connection = pika.BlockingConnection(dramatiq.get_broker().parameters)
    yield connection.channel()
    connection.close()


def test_any_language_can_bind_to_the_exchange_and_reads_cloudevents(
    manage: Manage, channel: Any, eventually: Eventually
) -> None:
    channel.exchange_declare("airy.events", exchange_type="topic", durable=True)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "airy.events", "bell.*")
    with transaction.atomic():
        event_id = emit(Rang(number=7, mood="你好"), priority=4)
    manage.worker()
    seen: list[Any] = []
    eventually(lambda: seen.append(channel.basic_get(queue, auto_ack=True)) or seen[-1][0], within=30)
    method, properties, body = seen[-1]
    wire = json.loads(body)
    stored = StoredEvent.objects.get(event_id=event_id)
    assert method.routing_key == "bell.rang"
    assert (properties.content_type, properties.delivery_mode, properties.priority) == (
        "application/cloudevents+json",
        2,
        4,
    )
    assert wire.pop("time") == stored.time.isoformat()
    assert int(wire.pop("sequence")) == stored.sequence
    assert wire == {
        "specversion": "1.0",
        "id": str(event_id),
        "source": "/airy",
        "type": "bell.rang",
        "subject": "bell/7",
        "datacontenttype": "application/json",
        "dataschema": "/airy/schemas/bell.rang/1",
        "correlationid": str(event_id),
        "data": {"number": 7, "mood": "你好"},
    }


def test_what_others_publish_is_worked_off_and_what_cannot_be_read_is_kept(
    manage: Manage, channel: Any, eventually: Eventually
) -> None:
    manage.worker()
    ring(1)
    eventually(lambda: all_done(1), within=40)
    foreign = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/x",
        "type": "bell.rang",
        "data": {"number": 5},
    }
    channel.basic_publish("airy.events", "bell.rang", json.dumps(foreign).encode())
    channel.basic_publish("airy.events", "bell.rang", b"\x00 gibberish")
    eventually(lambda: Effect.objects.filter(number=5).count() == 4, within=20)
    eventually(lambda: Delivery.objects.filter(state="dead").count() == 4, within=20)
    assert {bytes(dead.body) for dead in Delivery.objects.filter(state="dead")} == {b"\x00 gibberish"}


def test_who_may_publish_can_neither_repeat_nor_replace_nor_suppress_an_event_of_ours(
    manage: Manage, channel: Any, eventually: Eventually
) -> None:
    channel.exchange_declare("airy.events", exchange_type="topic", durable=True)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "airy.events", "bell.*")
    (true_id,) = ring(1)
    manage.worker()
    seen: list[Any] = []
    eventually(lambda: seen.append(channel.basic_get(queue, auto_ack=True)) or seen[-1][0], within=40)
    _, properties, body = seen[-1]
    eventually(lambda: all_done(1), within=40)
    forged = body.replace(b'"number":0', b'"number":666')
    for run in (0, 1, 2, 3):  # the true bytes again, with the run of a replay
        for headers in (properties.headers | {"run": run}, {"run": run, "attempt": 1}):
            channel.basic_publish("airy.events", "bell.rang", body, pika.BasicProperties(headers=headers))
    for headers in (properties.headers, {}):  # another payload under the true id
        channel.basic_publish("airy.events", "bell.rang", forged, pika.BasicProperties(headers=headers, priority=9))
    # What was true for every queue is not true for one.
    channel.basic_publish("", "airy.effects.alone", body, pika.BasicProperties(headers=properties.headers | {"run": 1}))
    channel.basic_publish("airy.events", "bell.rang", json.dumps(FOREIGN | {"id": str(true_id)}).encode())
    channel.basic_publish("airy.events", "bell.rang", json.dumps(FOREIGN | {"id": "order 7"}).encode())
    eventually(lambda: Effect.objects.filter(number=5).count() == 2 * 4, within=30)
    eventually(lambda: Delivery.objects.filter(state="dead").count() == 2 * 4, within=30)
    assert Effect.objects.filter(number=0).count() == 4
    assert not Effect.objects.filter(number=666).exists()
    refused = Delivery.objects.filter(state="dead")
    assert {dead.reason.split(": ")[1] for dead in refused} == {"not signed"}
    assert {bytes(dead.body) for dead in refused} == {body, forged}
    assert true_id not in {dead.event_id for dead in refused}


FOREIGN = {"specversion": "1.0", "source": "/x", "type": "bell.rang", "data": {"number": 5}}


def test_queues_are_durable_bound_and_prioritised(manage: Manage, eventually: Eventually, vhost: str) -> None:
    manage.worker()
    ring(1)
    eventually(lambda: all_done(1), within=40)
    queues = rabbitmqctl("list_queues", "-p", vhost, "--no-table-headers", "name", "durable", "arguments")
    (moody,) = (line for line in queues.splitlines() if line.startswith("airy.effects.moody"))
    assert "true" in moody
    assert "x-max-priority" in moody
    bindings = rabbitmqctl("list_bindings", "-p", vhost, "--no-table-headers", "destination_name", "routing_key")
    assert "airy.effects.in_batches\tbell.*" in bindings


@pytest.mark.parametrize("events", [150, pytest.param(400, marks=pytest.mark.slow)])
def test_connections_closed_by_the_broker_lose_nothing_and_double_nothing(
    manage: Manage, eventually: Eventually, vhost: str, events: int
) -> None:
    manage.worker(processes=2)
    for turn in range(3):
        ring(events, start=events * turn)
        goal = 4 * events * turn + events
        eventually(lambda goal=goal: Delivery.objects.count() >= goal, within=60)
        rabbitmqctl("close_all_connections", "--vhost", vhost, "a test")
    eventually(lambda: all_done(3 * events), within=90)
    assert_one_effect_each(3 * events)


def test_a_standby_relay_takes_over_from_a_killed_one(manage: Manage, eventually: Eventually) -> None:
    def relaying() -> set[int]:
        alive = Process.objects.alive().filter(figures__relay_active=True)
        return set(alive.values_list("pid", flat=True))

    first = manage("relay")
    eventually(relaying, within=30)
    second = manage("relay")
    eventually(lambda: Process.objects.alive().filter(kind="relay").count() == 2, within=30)
    manage.kill(first)
    with transaction.atomic():
        emit_many([Rang(number=number) for number in range(10)])
    eventually(lambda: not OutboxMessage.objects.exists(), within=10)
    eventually(lambda: second.pid in relaying(), within=15)
