"""Topology: what stands at the broker, what the code wants, and what is taken away."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import dramatiq
import pika
import pytest
from django.core.management import CommandError
from django.db import connection

from events.brokers.amqp.declare import declare, drops_redelivered
from events.brokers.amqp.refusals import MismatchError
from events.brokers.rabbitmq import RabbitmqBroker
from events.models import Subscription
from events.repair.announce import announce, bindings_of
from events.subscription import subscriptions
from tests.support.command_output import command_output
from tests.support.logs import captured_logs
from tests.support.own_subscribers import own_subscribers

pytestmark = pytest.mark.django_db


run = partial(command_output, "topology")


def test_what_was_bound_is_remembered_until_it_is_unbound() -> None:
    announce()
    name, one = "effects.moody", subscriptions["effects.moody"]
    with own_subscribers():
        subscriptions[name] = replace(one, patterns=("bell.*",))
        announce()
        announce()
    assert set(bindings_of(Subscription.objects.get(name=name))[one.queue]) == {"bell.rang", "bell.*"}


@pytest.mark.skipif("connection.vendor == 'postgresql'", reason="this run has RabbitMQ")
def test_the_embedded_broker_has_nothing_to_declare() -> None:
    assert "nothing to declare" in run("declare")
    assert connection.vendor == "sqlite"


@pytest.fixture
def channel(vhost: str) -> Iterator[Any]:
    announce()
    parameters = dramatiq.get_broker().parameters
    opened = pika.BlockingConnection(parameters)
    yield opened.channel()
    opened.close()
    with pika.BlockingConnection(parameters) as again:
        for queue in json.loads(run("show", "--json"))["queues"]:
            again.channel().queue_delete(queue["name"])


def queue_of(name: str) -> dict[str, Any]:
    (found,) = [queue for queue in json.loads(run("show", "--json"))["queues"] if queue["subscriber"] == name]
    return found


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_declaring_makes_all_queues_and_showing_counts_them(channel: Any) -> None:
    assert queue_of("effects.moody")["messages"] is None
    assert "missing: declare" in run()
    for _ in range(2):
        assert f"{len(subscriptions)} queues are bound" in run("declare")
    channel.basic_publish("airy.events", "bell.rang", b"{}")
    channel.queue_declare("airy.effects.moody", passive=True)
    found = queue_of("effects.moody")
    assert (found["messages"], found["consumers"], found["stale"], found["orphan"]) == (1, 0, [], False)
    assert "missing" not in run("show")


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_patterns_and_subscribers_that_the_code_dropped_are_unbound_and_forgotten(channel: Any) -> None:
    run("declare")
    moody = subscriptions["effects.moody"].queue
    channel.queue_bind(moody, "airy.events", "post.#")
    row = Subscription.objects.get(name="effects.moody")
    row.bindings[moody]["post.#"] = 0
    row.save()
    channel.queue_declare("airy.effects.gone", durable=True)
    channel.queue_bind("airy.effects.gone", "airy.events", "post.#")
    Subscription.objects.create(
        name="effects.gone",
        queue="airy.effects.gone",
        patterns=["post.#"],
        bindings={"airy.effects.gone": {"post.#": 0}},
    )
    channel.confirm_delivery()
    channel.basic_publish("airy.events", "post.published", b"{}", mandatory=True)
    assert "would be unbound" in run("unbind", "--dry-run")
    assert queue_of("effects.moody")["stale"] == ["post.#"]
    with pytest.raises(CommandError, match="not deleted"):
        run("unbind", "--delete-queue")
    assert queue_of("effects.moody")["stale"] == []
    with pytest.raises(pika.exceptions.UnroutableError):
        channel.basic_publish("airy.events", "post.unheard_of", b"{}", mandatory=True)
    assert queue_of("effects.gone")["orphan"]
    assert "deleted with 1 messages" in run("unbind", "--delete-queue", "--force", "--yes")
    assert not Subscription.objects.filter(name="effects.gone").exists()
    assert "no bindings or queues that are not in the code" in run("unbind")


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_a_queue_of_another_type_is_refused_in_words_with_the_cure(
    channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("declare")
    broker = dramatiq.get_broker()
    assert isinstance(broker, RabbitmqBroker)
    monkeypatch.setattr(broker, "queue_type", "quorum")
    with pytest.raises(CommandError, match=r"MQ_QUEUE_TYPE=quorum.*drain.*MQ_QUEUE_PREFIX"):
        run("declare")
    with pytest.raises(MismatchError):
        declare(channel.connection.channel(), broker, list(subscriptions.values()))
    with captured_logs() as lines, closing(broker.consume(subscriptions["effects.moody"].queue)) as consumer:
        assert next(consumer) is None
    assert "MQ_QUEUE_PREFIX" in lines[0]["error"]


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_a_delivery_limit_is_lifted_only_where_the_server_has_one(channel: Any) -> None:
    properties = channel.connection._impl.server_properties
    assert properties["product"] == "RabbitMQ"
    actual = properties["version"]
    assert drops_redelivered(channel) is (int(actual.split(".")[0]) >= 4)
    properties["version"] = "4.1.2"
    assert drops_redelivered(channel)


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_a_quorum_queue_whose_limit_somebody_set_is_used_as_it_is(
    channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, one = dramatiq.get_broker(), subscriptions["effects.moody"]
    channel.queue_declare(one.queue, durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 5})
    monkeypatch.setattr(broker, "queue_type", "quorum")
    after = declare(channel, broker, [one])
    assert after.is_open
    assert after.queue_declare(one.queue, passive=True).method.message_count == 0
