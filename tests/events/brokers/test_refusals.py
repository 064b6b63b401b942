"""What RabbitMQ refuses is told as what it is, with the cure; and what exists is used without the right to make it."""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from django.db import transaction

from events.brokers.amqp.calls import briefly
from events.brokers.amqp.publisher import PublishError, RabbitmqPublisher
from events.brokers.contract import TopologyError
from events.brokers.rabbitmq import RabbitmqBroker
from events.bus import emit
from events.subscription import subscriptions
from tests.conformance.rabbitmq import rabbitmqctl
from tests.effects.events import Rang
from tests.events.brokers.test_consumer import leave_effect, numbers
from tests.support.broker_case import only, our_broker, working
from tests.support.logs import captured_logs

Eventually = Callable[..., None]

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.usefixtures("vhost")]


@pytest.fixture(scope="module")
def user() -> Iterator[str]:
    """A user of RabbitMQ without any right."""
    name = f"airy_test_{uuid.uuid4().hex[:8]}"
    rabbitmqctl("add_user", name, "secret")
    yield name
    rabbitmqctl("delete_user", name)


def told(broker: RabbitmqBroker) -> str:
    """What an operator reads."""
    with pytest.raises(TopologyError) as raised:
        broker.topology.declare(list(subscriptions.values()))
    assert "probable" not in str(raised.value)
    return str(raised.value)


def test_each_refused_connection_is_told_with_its_cure(vhost: str, user: str) -> None:
    cures = {
        "login": (our_broker(user=user, password="wrong"), rf"login of user {user}.*MQ_USER and MQ_PASSWORD"),
        "no such vhost": (our_broker(vhost="no_such_vhost"), "no vhost no_such_vhost.*add_vhost no_such_vhost"),
        "no right": (
            our_broker(user=user, password="secret", vhost="/"),
            "may not use the vhost.*set_permissions -p /",
        ),
        "no name": (our_broker(host="no.such.host.invalid"), "not known here. Set MQ_HOST"),
        "nobody": (our_broker(host="127.0.0.1", port=1), "nothing listens there. Start RabbitMQ, or set MQ_HOST"),
        "another protocol": (our_broker(host="127.0.0.1", port=5432), "does not speak AMQP.*Set MQ_PORT.*5671"),
    }
    for name, (broker, cure) in cures.items():
        text = told(broker)
        assert re.search(cure, text), (name, text)
        with pytest.raises(PublishError) as raised:
            RabbitmqPublisher(broker).publish([])
        with pytest.raises(ConnectionError) as asked:
            broker.idle(["any"])
        said = {one.split(" (")[0] for one in (text, str(raised.value), str(asked.value))}
        assert len(said) == 1, (name, said)


def test_a_connection_limit_is_told_with_its_number(vhost: str) -> None:
    rabbitmqctl("set_vhost_limits", "-p", vhost, '{"max-connections": 0}')
    try:
        text = told(our_broker())
    finally:
        rabbitmqctl("clear_vhost_limits", "-p", vhost)
    assert f"the vhost {vhost} has its limit of 0 connections" in text
    assert "set_vhost_limits" in text


def test_an_exchange_of_another_type_is_named_with_the_cure() -> None:
    broker = our_broker(exchange="another.type")
    with briefly(broker.parameters) as calls:
        calls.channel().exchange_declare("another.type", exchange_type="fanout", durable=True)
    text = told(broker)
    assert "no durable topic exchange" in text
    assert "received 'topic' but current is 'fanout'" in text
    assert "MQ_VHOST" in text
    assert "MQ_PASSWORD" not in text


@pytest.mark.django_db(transaction=True)
def test_without_the_right_to_configure_what_exists_is_used_and_what_is_missing_is_told(
    vhost: str, user: str, eventually: Eventually
) -> None:
    rabbitmqctl("set_permissions", "-p", vhost, user, "^$", ".*", ".*")
    broker = our_broker(user=user, password="secret")
    with only(broker, leave_effect) as subscription:
        text = told(broker)
        with captured_logs() as lines, closing(broker.consume(subscription.queue, timeout=100)) as consumer:
            assert next(consumer) is None
        for missing in (text, lines[0]["error"]):
            assert f"the exchange airy.events is not there, and user {user} may not make it" in missing or (
                f"the queue {subscription.queue} is not there, and user {user} may not make it" in missing
            )
            assert "manage.py topology declare" in missing
        our_broker().topology.declare([subscription])  # an administrator
        with transaction.atomic():
            emit(Rang(number=1, mood="calm"))
        with working(broker):
            courier = broker.courier()
            courier.carry()
            courier.close()
            eventually(lambda: numbers() == [1], within=30)


@pytest.mark.django_db(transaction=True)
def test_without_the_right_to_bind_the_bindings_are_taken_as_they_are(
    vhost: str, user: str, eventually: Eventually
) -> None:
    with only(None, leave_effect) as subscription:
        our_broker().topology.declare([subscription])
        rabbitmqctl("set_permissions", "-p", vhost, user, "^$", r"^airy\.events$", r"^airy\.[^e].*|^airy\.test\..*")
        with captured_logs() as lines:
            our_broker(user=user, password="secret").topology.declare([subscription])
    (line,) = [line for line in lines if line["event"].startswith("may not bind")]
    assert line["queue"] == subscription.queue
    assert line["log_level"] == "info"


def test_a_connection_says_which_process_it_serves_and_how(vhost: str) -> None:
    broker = our_broker()
    with briefly(broker.parameters_for("relay")):
        for _ in range(50):
            if names := rabbitmqctl("list_connections", "client_properties"):
                break
    assert f'"airy relay {socket.gethostname()}:{os.getpid()}"' in names
