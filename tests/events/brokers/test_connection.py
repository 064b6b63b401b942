"""Connections that are driven turn by turn: what leaves together arrives as it was written, and an end is one."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from events.brokers.amqp.connection import BUFFER_SIZE, ManualConnection
from events.brokers.amqp.publisher import RabbitmqPublisher
from events.brokers.contract import Outgoing
from tests.events.brokers.test_consumer import leave_effect
from tests.support.broker_case import only, our_broker, waiting_messages


@pytest.mark.rabbitmq
@pytest.mark.usefixtures("vhost")
def test_messages_of_any_size_arrive_whole_and_in_order() -> None:
    broker = our_broker()
    sizes = [1, BUFFER_SIZE, 7, 5 * BUFFER_SIZE, *range(500), 20 * BUFFER_SIZE, BUFFER_SIZE - 1]
    with only(broker, leave_effect) as subscription:
        publisher = RabbitmqPublisher(broker)
        for _ in range(2):
            publisher.publish(
                [
                    Outgoing("", subscription.queue, bytes([number % 256]) * size, str(number))
                    for number, size in enumerate(sizes)
                ]
            )
        publisher.close()
        arrived = waiting_messages(subscription.queue)
    assert [(len(body), set(body)) for body in arrived] == 2 * [
        (size, {number % 256} if size else set()) for number, size in enumerate(sizes)
    ]


@pytest.mark.rabbitmq
@pytest.mark.usefixtures("vhost")
def test_a_server_that_fell_silent_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.brokers.amqp.connection.CLOSE_TIMEOUT", 0.2)
    parameters = our_broker().parameters
    with wire_to(parameters.host, parameters.port) as wire:
        parameters.host, parameters.port = wire.address
        connection = ManualConnection(parameters)
        deadline = time.monotonic() + 20
        while not connection.is_open and time.monotonic() < deadline:
            connection.run_once(at_most=0.1)
        assert connection.is_open
        wire.cut.set()
        connection.end()
        assert wire.hung_up.wait(10)


class Wire(NamedTuple):
    """Bytes go both ways until it is cut; from then on nothing comes out of it, and nobody is told."""

    address: tuple[str, int]
    cut: threading.Event
    hung_up: threading.Event


@contextmanager
def wire_to(host: str, port: int) -> Iterator[Wire]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = Wire(server.getsockname(), threading.Event(), threading.Event())
        thread = threading.Thread(target=carry, args=(server, (host, port), wire), daemon=True)
        thread.start()
        yield wire
        thread.join(20)
        assert not thread.is_alive()


def carry(server: socket.socket, address: tuple[str, int], wire: Wire) -> None:
    near, _ = server.accept()
    with near, socket.create_connection(address) as far:
        while True:
            for one in select.select([near, far], [], [], 20)[0]:
                data = one.recv(65_536)
                if not data:
                    if one is near:
                        wire.hung_up.set()
                    return
                if not wire.cut.is_set():
                    (far if one is near else near).sendall(data)
