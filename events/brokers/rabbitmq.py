"""RabbitMQ: a topic exchange and one durable queue per subscriber."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pika

from ..pool import get_pool
from ..subscription import Subscription
from .amqp.channel import ConsumerChannel
from .amqp.connection import CONNECTION_ERRORS
from .amqp.consumer import RabbitmqConsumer
from .amqp.publisher import RabbitmqPublisher
from .amqp.queues import RabbitmqTopology, declare, size_of
from .contract import GROUPS_AHEAD, Courier, EventBroker

#: Levels of priority that a classic queue tells apart.
MAX_PRIORITY = 10


class RabbitmqBroker(EventBroker):
    """Delivers through RabbitMQ. Exchange, queues and messages are durable; nothing expires by itself."""

    #: RabbitMQ's consumer_timeout is 30 minutes unless it is set.
    longest_run = 25 * 60_000

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
        self.topology = RabbitmqTopology(self)

    @property
    def queue_arguments(self) -> dict[str, Any]:
        """The arguments every queue is declared with. Quorum queues have no priorities before RabbitMQ 4.3."""
        return {"x-queue-type": "quorum"} if self.queue_type == "quorum" else {"x-max-priority": MAX_PRIORITY}

    def courier(self, go_on: Callable[[], bool] = lambda: True) -> Courier:
        from .publish_outbox import PublishingCourier  # Django makes the broker before it has models.

        return PublishingCourier(RabbitmqPublisher(self, go_on=go_on))

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> RabbitmqConsumer:
        subscription = self.subscriptions[queue_name]
        connect = partial(self._connect, subscription, prefetch=prefetch)
        return RabbitmqConsumer(self, subscription, connect=connect, timeout=timeout / 1000)

    def idle(self, queues: Iterable[str]) -> set[str]:
        """The queues without a ready message, and those that do not exist. AMQP does not report messages that a worker
        holds without an acknowledgement."""
        try:
            with pika.BlockingConnection(self.parameters) as connection:
                sizes = {queue: size_of(connection, queue) for queue in queues}
        except CONNECTION_ERRORS as error:
            raise ConnectionError(f"RabbitMQ at {self.parameters.host}: {error!r}") from error
        return {queue for queue, size in sizes.items() if size is None or not size.messages}

    def _connect(self, subscription: Subscription, *, prefetch: int) -> ConsumerChannel:
        with pika.BlockingConnection(self.parameters) as connection:
            declare(connection.channel(), self, [subscription])
        return ConsumerChannel(self.parameters, subscription, prefetch=prefetch_for(subscription, prefetch))


def prefetch_for(subscription: Subscription, prefetch: int) -> int:
    """Messages that may be in this process at a time: enough to keep its threads busy, and no more than the slots of
    its pool, and one that becomes free next, can hold. The others wait in the broker.

    After the pool has grown, more arrive from the next connection on: RabbitMQ cannot change the number of a consumer
    that exists.
    """
    slots = get_pool().capacity + 1
    return max(min(prefetch, slots), min(GROUPS_AHEAD, slots) * subscription.group_size)
