"""Messages that RabbitMQ does not take as they are: too large, without a right, for a queue that never answers."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pika
import pytest
from django.db import transaction

from events.brokers import publish_outbox, refusals
from events.brokers.publish_outbox import PublishingCourier
from events.brokers.rabbitmq import RabbitmqBroker
from events.bus import emit, emit_many
from events.models import OutboxMessage
from events.subscription import subscriptions
from tests.effects.events import Knocked, Rang
from tests.support.effects import ring
from tests.support.logs import captured_logs
from tests.support.servers.rabbitmq import Node, running_node

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.timeout(600)]

Eventually = Callable[..., None]
LIMIT = 1_000_000
QUEUES = ("moody", "in_batches", "alone", "asynchronous")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    configuration = f"[{{rabbit, [{{max_message_size, {LIMIT}}}]}}]."
    with running_node(tmp_path_factory.mktemp("server") / "node", configuration=configuration) as node:
        yield node


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> None:
    monkeypatch.setattr(refusals, "LONGEST_PAUSE", 1.0)
    monkeypatch.setattr(publish_outbox, "SILENT_AFTER", 3.0)


@pytest.fixture
def channel(node: Node) -> Iterator[Any]:
    parameters = pika.ConnectionParameters(host="127.0.0.1", port=node.port)
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        for subscription in subscriptions.values():
            channel.queue_delete(subscription.queue)
        yield channel


@contextmanager
def courier_to(port: int, **options: Any) -> Iterator[PublishingCourier]:
    broker = RabbitmqBroker(host="127.0.0.1", port=port, **options)
    for subscription in subscriptions.values():
        broker.subscribe(subscription)
    courier = broker.courier()
    try:
        yield courier
    finally:
        courier.close()


def waiting(channel: Any, name: str) -> int:
    return channel.queue_declare(f"airy.effects.{name}", passive=True).method.message_count


def owed_to() -> set[str]:
    return set(OutboxMessage.objects.values_list("subscriber", flat=True))


def carry(courier: PublishingCourier) -> None:
    while courier.carry():
        pass


def test_a_message_that_is_too_large_waits_by_itself_and_the_error_names_the_limit(node: Node, channel: Any) -> None:
    with captured_logs() as lines, courier_to(node.port) as courier:
        ring(50)
        with transaction.atomic():
            emit(Rang(number=99, mood="x" * (LIMIT + 1)))
        ring(50, start=50)
        for _ in range(3):
            carry(courier)
        assert [row.envelope.data["number"] for row in OutboxMessage.objects.as_rows()] == [99]
        for name in QUEUES:
            assert waiting(channel, name) == 100, "nothing is doubled"
    assert "max_message_size" in str(lines)


def test_a_topic_without_a_right_waits_by_itself_and_doubles_one_batch_at_most(
    node: Node, channel: Any, eventually: Eventually
) -> None:
    node.control("add_user", "narrow", "secret")
    node.control("set_permissions", "narrow", ".*", ".*", ".*")
    with courier_to(node.port, user="narrow", password="secret") as courier:
        ring(1)
        carry(courier)
        node.control("set_topic_permissions", "narrow", "airy.events", "^bell", ".*")
        for number in range(1, 4):
            with transaction.atomic():
                emit_many([Knocked(number=number)])
                emit_many([Rang(number=10 * number + one) for one in range(10)])
            carry(courier)
        assert {row.envelope.topic for row in OutboxMessage.objects.as_rows()} == {Knocked.topic}
        for name in QUEUES:
            assert 31 <= waiting(channel, name) <= 31 + 10
        node.control("clear_topic_permissions", "narrow")
        eventually(lambda: carry(courier) or not OutboxMessage.objects.exists(), within=30)
    node.control("delete_user", "narrow")


def test_without_the_right_to_write_all_events_wait_and_the_error_names_the_user(
    node: Node, channel: Any, eventually: Eventually
) -> None:
    node.control("add_user", "mute", "secret")
    node.control("set_permissions", "mute", ".*", r"^airy\.effects", ".*")
    with captured_logs() as lines, courier_to(node.port, user="mute", password="secret") as courier:
        ring(30)
        carry(courier)
        assert OutboxMessage.objects.count() == 30
        node.control("set_permissions", "mute", ".*", ".*", ".*")
        eventually(lambda: carry(courier) or not OutboxMessage.objects.exists(), within=30)
        assert waiting(channel, "alone") == 30
    assert "MQ_USER mute" in str(lines)
    assert "set_permissions" in str(lines)
    node.control("delete_user", "mute")


def test_a_queue_that_may_not_be_made_delays_its_own_subscriber_alone(
    node: Node, channel: Any, eventually: Eventually
) -> None:
    with courier_to(node.port) as courier:
        ring(1)
        carry(courier)
    channel.queue_delete("airy.effects.alone")
    node.control("add_user", "fixed", "secret")
    node.control("set_permissions", "fixed", "^$", ".*", ".*")
    with courier_to(node.port, user="fixed", password="secret") as courier:
        ring(30, start=1)
        eventually(lambda: carry(courier) or owed_to() == {"effects.alone"}, within=30)
        assert OutboxMessage.objects.count() == 30
        assert waiting(channel, "moody") == 31
        channel.queue_declare("airy.effects.alone", durable=True, arguments={"x-max-priority": 10})
        eventually(lambda: carry(courier) or not OutboxMessage.objects.exists(), within=30)
        assert waiting(channel, "alone") == 30
    node.control("delete_user", "fixed")


def test_a_queue_that_never_answers_delays_its_own_subscriber_alone(
    node: Node, channel: Any, eventually: Eventually
) -> None:
    with (
        withheld_answers(node.port, topic=b"bell.rang", queue=b"airy.effects.alone") as wire,
        courier_to(wire.port) as courier,
    ):
        ring(20)
        carry(courier)
        assert OutboxMessage.objects.count() == 20
        with transaction.atomic():
            others = emit_many([Knocked(number=number) for number in range(50)])
        carry(courier)
        assert not OutboxMessage.objects.filter(event_id__in=others).exists(), "they do not wait for the silent one"
        eventually(lambda: carry(courier) or "effects.alone" in courier._refusals, within=60)
        ring(20, start=100)
        eventually(lambda: carry(courier) or owed_to() == {"effects.alone"}, within=60)
        for name in ("moody", "in_batches", "asynchronous"):
            assert 40 <= waiting(channel, name) <= 60, "one batch is doubled at most"
        wire.withhold.clear()
        eventually(lambda: carry(courier) or not OutboxMessage.objects.exists(), within=60)


class Wire:
    """A stand-in for a queue without a majority: the server's answers for messages to it do not arrive.

    It reads the frames of AMQP 0-9-1 that go by. Messages to the topic, or to the queue, are not answered for.
    """

    def __init__(self, port: int, *, topic: bytes, queue: bytes) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._address = ("127.0.0.1", port)
        self._wanted = (topic, queue)
        self.withhold = threading.Event()
        self.withhold.set()
        self.ended = threading.Event()

    def serve(self) -> None:
        """Serve one connection after the other."""
        self._server.settimeout(0.2)
        threads = []
        while not self.ended.is_set():
            try:
                near, _ = self._server.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=self._carry, args=(near,), daemon=True))
            threads[-1].start()
        self._server.close()

    def _carry(self, near: socket.socket) -> None:
        to_server, to_client = Frames(skip=8), Frames()
        tags: dict[int, int] = {}
        silent: set[tuple[int, int]] = set()
        with near, socket.create_connection(self._address) as far:
            while not self.ended.is_set():
                for one in select.select([near, far], [], [], 0.2)[0]:
                    try:
                        data = one.recv(65_536)
                    except OSError:
                        return
                    if not data:
                        return
                    if one is near:
                        far.sendall(data)
                        for number, method, payload in to_server.read(data):
                            if method == (20, 10):  # channel.open
                                tags[number] = 0
                            elif method == (60, 40):  # basic.publish
                                tags[number] = tags.get(number, 0) + 1
                                if self.withhold.is_set() and any(name in payload for name in self._wanted):
                                    silent.add((number, tags[number]))
                    else:
                        near.sendall(b"".join(self._answers(to_client, data, silent)))

    def _answers(self, frames: Frames, data: bytes, silent: set[tuple[int, int]]) -> Iterator[bytes]:
        for number, method, payload in frames.read(data):
            if method == (60, 80):  # basic.ack: each tag by itself, but for the silent ones
                tag, multiple = struct.unpack("!QB", payload[4:13])
                known = frames.acknowledged.setdefault(number, set())
                for each in set(range(1 if multiple else tag, tag + 1)) - known:
                    known.add(each)
                    if (number, each) not in silent:
                        yield frame(number, payload[:4] + struct.pack("!QB", each, 0))
            else:
                yield frames.raw


class Frames:
    """Takes a stream apart into frames."""

    def __init__(self, *, skip: int = 0) -> None:
        self._data = b""
        self._skip = skip
        self.raw = b""
        self.acknowledged: dict[int, set[int]] = {}

    def read(self, data: bytes) -> Iterator[tuple[int, tuple[int, int], bytes]]:
        """(channel, method, payload) of each whole frame; the method is (0, 0) if it has none."""
        self._data += data
        if self._skip:
            if len(self._data) < self._skip:
                return
            self._data, self._skip = self._data[self._skip :], 0
        while len(self._data) >= 7:
            kind, number, size = struct.unpack("!BHL", self._data[:7])
            if len(self._data) < size + 8:
                return
            self.raw, self._data = self._data[: size + 8], self._data[size + 8 :]
            payload = self.raw[7:-1]
            method = struct.unpack("!HH", payload[:4]) if kind == 1 else (0, 0)
            yield number, (method[0], method[1]), payload


def frame(number: int, payload: bytes) -> bytes:
    return struct.pack("!BHL", 1, number, len(payload)) + payload + b"\xce"


@contextmanager
def withheld_answers(port: int, *, topic: bytes, queue: bytes) -> Iterator[Wire]:
    wire = Wire(port, topic=topic, queue=queue)
    thread = threading.Thread(target=wire.serve, daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        wire.ended.set()
        thread.join(10)
