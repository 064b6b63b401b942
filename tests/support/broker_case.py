"""A broker, a subscriber and a worker for one test, in this process and beside those of all others."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
import pika
from django.conf import settings
from django_dramatiq.middleware import DbConnectionsMiddleware
from dramatiq.broker import Broker
from dramatiq.worker import Worker

from events.brokers.contract import EventBroker
from events.brokers.rabbitmq import RabbitmqBroker
from events.bus import subscriber
from events.inbox.retry import RetryOrDeadLetter
from events.inbox.time_limit import DeliveryTimeLimit
from events.subscription import Subscription, subscriptions
from events.worker.actors import declare_actor
from events.worker.shutdown import OrderlyShutdown
from tests.conformance.rabbitmq import rabbitmqctl
from tests.effects.events import Rang
from tests.support.own_subscribers import own_subscribers


def our_broker(**options: Any) -> RabbitmqBroker:
    """A broker of ours on this run's vhost, beside the process's own."""
    parameters = dramatiq.get_broker().parameters
    where = {"host": parameters.host, "port": parameters.port, "vhost": parameters.virtual_host}
    return RabbitmqBroker(
        **where
        | {"middleware": [DbConnectionsMiddleware(), DeliveryTimeLimit(), RetryOrDeadLetter(), OrderlyShutdown()]}
        | options
    )


@contextmanager
def only(broker: EventBroker | None, function: Callable[[Any], None], **options: Any) -> Iterator[Subscription]:
    """A subscriber that nobody else has, on this broker if one is given; there is no other meanwhile."""
    with own_subscribers():
        subscriptions.clear()
        subscriber(Rang, name=f"test.subscriber_{uuid.uuid4().hex[:8]}", **options)(function)
        (subscription,) = subscriptions.values()
        if broker is not None:
            declare_actor(broker, subscription)
        yield subscription


@contextmanager
def working(broker: Broker, *, threads: int = 6, on_leaving: Callable[[], None] = lambda: None) -> Iterator[Worker]:
    """A dramatiq worker in this process."""
    broker.emit_after("process_boot")
    worker = Worker(broker, worker_threads=threads, worker_timeout=100)
    worker.start()
    try:
        yield worker
    finally:
        on_leaving()
        worker.stop(timeout=20_000)


def close_connections() -> None:
    """As an operator or a failing network does."""
    rabbitmqctl("close_all_connections", "--vhost", settings.MQ_VHOST, "a test")


def waiting_messages(queue: str) -> list[bytes]:
    """The bodies of all messages that no living consumer holds."""
    with pika.BlockingConnection(dramatiq.get_broker().parameters) as connection:
        channel = connection.channel()
        return [body for method, _, body in iter(lambda: channel.basic_get(queue), (None, None, None))]
