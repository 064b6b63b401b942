"""The two ways in which stock dramatiq 2.2 loses messages on RabbitMQ, provoked on its own broker, then on ours."""

from __future__ import annotations

import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import dramatiq
import dramatiq.worker
import pika
import pytest
from django.db import transaction
from dramatiq.broker import Broker
from dramatiq.brokers.rabbitmq import RabbitmqBroker as StockBroker
from dramatiq.middleware import Retries

from events.bus import emit
from events.models import Delivery, OutboxMessage
from tests.conformance.rabbitmq import rabbitmqctl
from tests.effects.events import Rang
from tests.support.broker_case import close_connections, only, our_broker, waiting_messages, working
from tests.support.logs import captured_logs

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

Eventually = Callable[..., None]
STOCK_QUEUE = "stock"


@dataclass
class Gates:
    """Runs that wait until the test lets them go on, each by its name and how often that began."""

    begun: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    gates: dict[tuple[str, int], threading.Event] = field(default_factory=lambda: defaultdict(threading.Event))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, name: str) -> None:
        with self.lock:
            self.begun[name] += 1
            gate = self.gates[name, self.begun[name]]
        assert gate.wait(60)
        with self.lock:
            self.finished[name] += 1

    def release(self, name: str, *, run: int = 1) -> None:
        with self.lock:
            self.gates[name, run].set()

    def release_all(self) -> None:
        with self.lock:
            for name in "quick", "first", "second":
                for run in range(1, 9):
                    self.gates[name, run].set()


@pytest.fixture
def gates() -> Iterator[Gates]:
    found = Gates()
    yield found
    found.release_all()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dramatiq.worker, "CONSUMER_RESTART_DELAY_SECS", 0.1)


def stock_broker(**options: Any) -> StockBroker:
    """Dramatiq's own broker on this run's vhost."""
    ours = dramatiq.get_broker().parameters
    parameters = {"host": ours.host, "port": ours.port, "virtual_host": ours.virtual_host}
    return StockBroker(**parameters | {"credentials": ours.credentials, "middleware": []} | options)


def test_stock_dramatiq_acknowledges_another_message_after_a_reconnect_and_loses_it(
    vhost: str, gates: Gates, eventually: Eventually
) -> None:
    broker = stock_broker()
    actor = dramatiq.actor(gates.run, broker=broker, actor_name="run", queue_name=STOCK_QUEUE)
    with working(broker, on_leaving=gates.release_all) as worker:
        thread = worker.consumers[STOCK_QUEUE]
        actor.send("quick")
        gates.release("quick")
        eventually(lambda: gates.finished["quick"] and not thread.consumer.known_tags)
        actor.send("first")
        eventually(lambda: gates.begun["first"])
        actor.send("second")
        eventually(lambda: gates.begun["second"])
        # On the channel they came through, "first" has tag 2. On the next, that is the tag of "second".
        close_connections()
        eventually(lambda: gates.begun["first"] == gates.begun["second"] == 2, within=60)
        gates.release("first", run=1)
        eventually(lambda: 2 not in thread.consumer.known_tags)
        # The worker dies.
        for consumer in worker.consumers.values():
            consumer.stop()
        close_connections()
        eventually(lambda: not thread.is_alive(), within=60)
        left = waiting_messages(STOCK_QUEUE)
        assert gates.finished["second"] == 0
        assert [b"first" in body for body in left] == [True], "the second was neither finished nor kept"


def test_a_stale_delivery_acknowledges_nothing_on_our_broker(vhost: str, gates: Gates, eventually: Eventually) -> None:
    names = {0: "quick", 1: "first", 2: "second"}
    broker = our_broker()
    with only(broker, lambda event: gates.run(names[event.number]), group=1) as subscription:
        courier = broker.courier()

        def send(number: int) -> None:
            with transaction.atomic():
                emit(Rang(number=number))
            courier.carry()

        def done() -> int:
            return Delivery.objects.filter(subscriber=subscription.name, state="done").count()

        def given_back() -> list[str]:
            return [line["delivery"] for line in lines if line["event"] == "given back while another run goes on"]

        with captured_logs() as lines, working(broker, on_leaving=gates.release_all) as worker:
            consumer = worker.consumers[subscription.queue]
            send(0)
            gates.release("quick")
            eventually(lambda: done() == 1)
            send(1)
            eventually(lambda: gates.begun["first"])
            send(2)
            eventually(lambda: gates.begun["second"])
            courier.close()
            before = consumer.consumer._link.channel
            close_connections()
            # Both come again and again while they still run.
            eventually(lambda: len(set(given_back())) == 2, within=60)
            assert consumer.consumer._link.channel is not before
            gates.release("first")
            eventually(lambda: done() == 2)
            seen = len(given_back())
            eventually(lambda: len(set(given_back()[seen:][-3:])) == 1 and len(given_back()) >= seen + 3, within=60)
            for thread in worker.consumers.values():
                thread.stop()
            eventually(lambda: not consumer.is_alive())
            consumer.close()
            left = waiting_messages(subscription.queue)
            assert [b'"number":2' in body for body in left] == [True], "the second is kept, the first is done"
        assert gates.finished == {"quick": 1, "first": 1, "second": 1}


@pytest.fixture
def reader(vhost: str) -> Iterator[tuple[str, str]]:
    """A user of RabbitMQ who may declare and consume, and publishes in vain."""
    name = f"reader_{uuid.uuid4().hex[:8]}"
    rabbitmqctl("add_user", name, "reader")
    rabbitmqctl("set_permissions", "-p", vhost, name, ".*", ".*", ".*")
    yield name, "reader"
    rabbitmqctl("delete_user", name)


def forbid_publishing(vhost: str, user: str, *, queue: str = "") -> None:
    """Let the user write nowhere but to the queue itself, as binding it asks for."""
    rabbitmqctl("set_permissions", "-p", vhost, user, ".*", f"^{queue}$", ".*")


def test_stock_dramatiq_acknowledges_a_message_whose_retry_it_could_not_enqueue(
    vhost: str, reader: tuple[str, str], eventually: Eventually
) -> None:
    ended: list[BaseException | None] = []

    class Outcomes(dramatiq.Middleware):
        def after_ack(self, broker: Broker, message: Any) -> None:
            ended.append(None)

        def after_nack(self, broker: Broker, message: Any) -> None:
            ended.append(message._exception)

    user, password = reader
    broker = stock_broker(
        credentials=pika.PlainCredentials(user, password),
        confirm_delivery=True,
        middleware=[Retries(max_retries=5, min_backoff=10), Outcomes()],
    )
    runs: list[int] = []

    def fail(number: int) -> None:
        runs.append(number)
        raise ValueError("not yet")

    actor = dramatiq.actor(fail, broker=broker, queue_name=f"{STOCK_QUEUE}_retry")
    actor.send(7)
    forbid_publishing(vhost, user)
    with working(broker):
        eventually(lambda: ended, within=60)
    assert ended == [None], "acknowledged"
    assert runs == [7], "one run of six"
    counts = stock_broker().get_queue_message_counts(actor.queue_name)
    assert counts == (0, 0, 0), "and it waits nowhere: not in its queue, not delayed, not among the dead"


def test_our_broker_keeps_a_retry_that_cannot_be_published_until_it_can(
    vhost: str, reader: tuple[str, str], eventually: Eventually
) -> None:
    user, password = reader
    broker = our_broker(user=user, password=password)
    runs: list[int] = []

    def fail_once(event: Rang) -> None:
        runs.append(event.meta.attempt)
        if event.meta.attempt == 1:
            raise ValueError("not yet")

    with only(broker, fail_once, min_backoff=1, max_backoff=2) as subscription:
        with transaction.atomic():
            emit(Rang(number=7))
        courier = broker.courier()
        courier.carry()
        courier.close()
        forbid_publishing(vhost, user, queue=subscription.queue)
        with working(broker):
            eventually(lambda: OutboxMessage.objects.filter(attempt=2).exists())
            eventually(lambda: OutboxMessage.objects.due().exists())
            assert courier.carry() == 0
            assert OutboxMessage.objects.get().attempt == 2
            rabbitmqctl("set_permissions", "-p", vhost, user, ".*", ".*", ".*")
            eventually(lambda: courier.carry() == 1)
            courier.close()
            eventually(lambda: Delivery.objects.get(subscriber=subscription.name).state == "done")
    assert runs == [1, 2]
    assert not OutboxMessage.objects.exists()
