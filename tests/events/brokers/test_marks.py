"""Two installations on one vhost: the second does not start, and takes nothing meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from events.brokers.amqp.calls import briefly
from events.brokers.amqp.marks import remove_marks
from events.brokers.contract import ClaimError
from events.brokers.rabbitmq import RabbitmqBroker
from events.bus import emit
from events.models import OutboxMessage
from events.subscription import subscriptions
from events.worker.installation import installation_id
from tests.conformance.rabbitmq import rabbitmqctl
from tests.effects.events import Rang
from tests.events.brokers.test_consumer import leave_effect, numbers
from tests.support.broker_case import only, our_broker, working
from tests.support.command_output import command_output
from tests.support.logs import captured_logs

Eventually = Callable[..., None]

pytestmark = [
    pytest.mark.rabbitmq,
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("vhost"),
]

topology = partial(command_output, "topology")


@pytest.fixture
def strangers() -> Iterator[RabbitmqBroker]:
    """The broker on which another installation was first."""
    broker = our_broker()
    with briefly(broker.parameters) as calls:
        remove_marks(calls, broker)
    broker.claim(uuid.uuid4())
    yield broker
    with briefly(broker.parameters) as calls:
        remove_marks(calls, broker)


def test_the_second_is_refused_at_each_door_with_the_cure_and_may_take_over(strangers: RabbitmqBroker) -> None:
    strangers.claim(strangers._installation)
    for command in ("rundramatiq",), ("relay",), ("topology", "declare"):
        with pytest.raises(CommandError, match=r"another installation.*MQ_VHOST.*MQ_QUEUE_PREFIX.*topology adopt"):
            call_command(*command)
    assert "installation" not in topology("show")
    assert "no bindings or queues that are not in the code" in topology("unbind")
    with pytest.raises(CommandError, match="--yes"):
        topology("adopt")
    topology("adopt", "--yes")
    our_broker().claim(installation_id())
    with pytest.raises(ClaimError):
        our_broker().claim(strangers._installation)


def test_a_source_is_one_installations_though_the_prefixes_differ(
    strangers: RabbitmqBroker, settings: pytest.FixtureRequest
) -> None:
    settings.MQ_QUEUE_PREFIX = "other."
    with pytest.raises(ClaimError, match=r"the source /airy at the exchange airy.events.*EVENTS_SOURCE"):
        our_broker().claim(installation_id())
    settings.EVENTS_SOURCE = "/other"
    our_broker().claim(installation_id())
    with briefly(strangers.parameters) as calls:
        remove_marks(calls, strangers)


def test_who_could_not_ask_at_the_start_consumes_and_publishes_nothing_of_a_stranger(
    strangers: RabbitmqBroker, eventually: Eventually
) -> None:
    broker = our_broker()
    broker._installation = installation_id()
    with only(broker, leave_effect) as subscription, captured_logs() as lines, working(broker):
        our_broker().topology.declare([subscription])
        with transaction.atomic():
            emit(Rang(number=1, mood="calm"))
        courier = broker.courier()
        with pytest.raises(ConnectionError, match="another installation"):
            courier.carry()
        courier.close()
        eventually(lambda: any("another installation" in line.get("error", "") for line in lines))
        assert OutboxMessage.objects.count() == 1
        topology("adopt", "--yes")
        courier = broker.courier()
        courier.carry()
        courier.close()
        eventually(lambda: numbers() == [1], within=30)


def test_without_the_right_to_configure_the_marks_are_not_compared(strangers: RabbitmqBroker, vhost: str) -> None:
    user = f"airy_test_{uuid.uuid4().hex[:8]}"
    rabbitmqctl("add_user", user, "secret")
    try:
        rabbitmqctl("set_permissions", "-p", vhost, user, "^$", ".*", ".*")
        with captured_logs() as lines:
            our_broker(user=user, password="secret").claim(installation_id())
    finally:
        rabbitmqctl("delete_user", user)
    assert [line["log_level"] for line in lines] == ["info"] * 2
    assert subscriptions
