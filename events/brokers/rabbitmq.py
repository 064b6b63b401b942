"""RabbitMQ: a topic exchange and one durable queue per subscriber."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pika

from events.brokers.consumer import RabbitmqConsumer
from events.brokers.contract import EventBroker
from events.brokers.session import Session
from events.pool import get_pool
from events.subscription import Subscription

#: Levels of priority a classic queue keeps apart.
MAX_PRIORITY = 10
#: Full groups that may be under way or waiting per queue and process.
GROUPS_AHEAD = 4


class RabbitmqBroker(EventBroker):
    """Delivers through RabbitMQ. Durable exchange, queues and messages; nothing expires by itself."""

    def __init__(
        self,
        *,
        host: str = "localhost",
        port: int = 5672,
        user: str = "guest",
        password: str = "guest",
        vhost: str = "/",
        exchange: str = "airy.events",
        queue_type: str = "classic",
        heartbeat: int = 30,
        middleware: list[Any] | None = None,
    ) -> None:
        super().__init__(middleware=middleware)
        self.exchange = exchange
        self.queue_type = queue_type
        self.parameters = pika.ConnectionParameters(
            host=host,
            port=port,
            virtual_host=vhost,
            credentials=pika.PlainCredentials(user, password),
            heartbeat=heartbeat,
            blocked_connection_timeout=None,
            socket_timeout=5,
            stack_timeout=10,
            client_properties={"connection_name": "airy"},
        )

    @property
    def queue_arguments(self) -> dict[str, Any]:
        """The arguments every queue is declared with."""
        return {"x-queue-type": "quorum"} if self.queue_type == "quorum" else {"x-max-priority": MAX_PRIORITY}

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> RabbitmqConsumer:
        subscription = self.subscriptions[queue_name]
        connect = partial(self._connect, subscription, prefetch=prefetch)
        return RabbitmqConsumer(self, subscription, connect=connect, timeout=timeout / 1000)

    def _connect(self, subscription: Subscription, *, prefetch: int) -> Session:
        connection = pika.BlockingConnection(self.parameters)
        try:
            declare(connection.channel(), self, [subscription])
            return Session(connection, subscription, prefetch=prefetch_for(subscription, prefetch))
        except BaseException:
            if connection.is_open:
                connection.close()
            raise


def prefetch_for(subscription: Subscription, prefetch: int) -> int:
    """How many messages may be in this process: enough to keep its threads busy, and no more than its pool's slots
    and one for the next to come free can hold; all others wait in the broker."""
    slots = get_pool().capacity + 1
    return max(min(prefetch, slots), min(GROUPS_AHEAD, slots) * subscription.together)


def declare(channel: Any, broker: RabbitmqBroker, subscriptions: Sequence[Subscription]) -> None:
    """Make the exchange, and a bound queue for each subscriber, unless they are there."""
    channel.exchange_declare(broker.exchange, exchange_type="topic", durable=True)
    for subscription in subscriptions:
        channel.queue_declare(subscription.queue, durable=True, arguments=broker.queue_arguments)
        for pattern in subscription.patterns:
            channel.queue_bind(subscription.queue, broker.exchange, pattern)
