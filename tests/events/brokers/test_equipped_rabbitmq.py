"""RabbitMQ with TLS and its management API: the relay publishes, a worker consumes, an operator sees more of the
queues, and what is wrong is said in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pika
import pytest

from events.brokers.amqp.calls import briefly
from events.brokers.amqp.connection import CONNECTION_ERRORS
from events.brokers.amqp.management import ManagementError, sizes_by_api
from events.brokers.amqp.refusals import in_words
from events.brokers.contract import QueueSize
from events.brokers.rabbitmq import RabbitmqBroker
from tests.effects.events import Rang
from tests.support.broker_case import only, our_broker, working
from tests.support.command_output import command_output
from tests.support.effects import ring
from tests.support.logs import captured_logs
from tests.support.servers.certificates import Certificates, make_certificates
from tests.support.servers.ports import free_port
from tests.support.servers.rabbitmq import running_node

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.timeout(120)]


class Equipped(NamedTuple):
    """A server that speaks TLS on one port, and plain AMQP on another; and the address of its management API."""

    port: int
    plain_port: int
    api_url: str
    certificates: Certificates


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Equipped]:
    folder = tmp_path_factory.mktemp("tls")
    made, port, api_port = make_certificates(folder / "certificates"), free_port(), free_port()
    files = f'{{cacertfile, "{made.authority}"}}, {{certfile, "{made.server}"}}, {{keyfile, "{made.key}"}}'
    listeners = f'{{ssl_listeners, [{{"127.0.0.1", {port}}}]}}'
    rabbit = f"{{rabbit, [{listeners}, {{ssl_options, [{files}, {{verify, verify_none}}]}}]}}"
    management = f'{{rabbitmq_management, [{{tcp_config, [{{ip, "127.0.0.1"}}, {{port, {api_port}}}]}}]}}'
    configuration = f"[{rabbit}, {management}]."
    with running_node(folder / "node", configuration=configuration, plugins=["rabbitmq_management"]) as node:
        yield Equipped(port, node.port, f"http://127.0.0.1:{api_port}", made)


def why_refused(broker: RabbitmqBroker) -> str:
    parameters = broker.parameters_for("test")
    with pytest.raises(CONNECTION_ERRORS) as caught, briefly(parameters):
        pass
    return in_words(caught.value, parameters)


def test_events_are_published_and_consumed_over_tls(
    transactional_db: None, server: Equipped, eventually: Callable[..., None]
) -> None:
    broker = our_broker(
        host="localhost", port=server.port, vhost="/", tls=True, ca_file=str(server.certificates.authority)
    )
    heard: list[int] = []

    def hear(event: Rang) -> None:
        heard.append(event.number)

    with only(broker, hear), working(broker):
        ring(50)
        courier = broker.courier()
        while courier.carry():
            pass
        courier.close()
        eventually(lambda: sorted(heard) == list(range(50)), within=30)


def test_a_certificate_of_an_unknown_authority_is_refused_in_words(server: Equipped) -> None:
    assert "MQ_CA_FILE" in why_refused(our_broker(host="localhost", port=server.port, vhost="/", tls=True))


def test_a_certificate_for_another_name_is_refused_in_words(server: Equipped) -> None:
    authority = str(server.certificates.authority)
    broker = our_broker(host="127.0.0.2", port=server.port, vhost="/", tls=True, ca_file=authority)
    broker.parameters.host = "127.0.0.1"
    assert "another name" in why_refused(broker)


def test_a_port_without_tls_is_refused_in_words(server: Equipped) -> None:
    authority = str(server.certificates.authority)
    broker = our_broker(host="localhost", port=server.plain_port, vhost="/", tls=True, ca_file=authority)
    assert "does not speak TLS" in why_refused(broker)


def test_an_operator_sees_what_workers_hold_and_at_which_rate(
    db: None, server: Equipped, eventually: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = our_broker(host="127.0.0.1", port=server.plain_port, vhost="/", api_url=server.api_url)
    with only(broker, lambda event: None) as subscription:
        broker.topology.declare([subscription])
        with pika.BlockingConnection(broker.parameters_for("test")) as connection:
            channel = connection.channel()
            for number in range(5):
                channel.basic_publish("", subscription.queue, b"%d" % number)
            channel.basic_get(subscription.queue)

            def size() -> QueueSize:
                found = broker.topology.sizes([subscription.queue, "nowhere"])
                assert found["nowhere"] is None
                return found[subscription.queue]

            eventually(lambda: (size().messages, size().unacknowledged) == (4, 1), within=30)
            assert size().published_per_second is not None
        monkeypatch.setattr("events.repair.topology.subscriptions", {subscription.name: subscription})
        monkeypatch.setattr("dramatiq.get_broker", lambda: broker)
        shown = command_output("topology")
        assert "held" in shown
        assert "done per s" in shown
        broker.topology.delete(subscription.queue, force=True)


@pytest.mark.parametrize("password", ["guest", "wrong"])
def test_without_an_answer_of_the_api_the_figures_are_those_of_amqp(server: Equipped, password: str) -> None:
    url = server.api_url if password == "wrong" else "http://127.0.0.1:9"
    with pytest.raises(ManagementError, match="MQ_API_URL"):
        sizes_by_api(url, user="guest", password=password, vhost="/", queues=["any"])
    broker = our_broker(host="127.0.0.1", port=server.plain_port, vhost="/", api_url="http://127.0.0.1:9")
    with captured_logs("events.rabbitmq") as logs, only(broker, lambda event: None) as subscription:
        broker.topology.declare([subscription])
        assert broker.topology.sizes([subscription.queue]) == {subscription.queue: QueueSize(0, 0)}
        broker.topology.delete(subscription.queue, force=True)
    assert "MQ_API_URL" in str(logs)
