"""RabbitMQ: a topic exchange and one durable queue per subscriber."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import pika
import structlog
from pika.exceptions import ChannelClosedByBroker

from ..pool import get_pool
from ..subscription import Subscription
from .amqp.channel import Session
from .amqp.connection import LOST
from .amqp.consumer import RabbitmqConsumer
from .contract import EventBroker

log = structlog.get_logger("events.rabbitmq")

#: Levels of priority a classic queue keeps apart.
MAX_PRIORITY = 10
#: Full groups that may be under way or waiting per queue and process.
GROUPS_AHEAD = 4

NOT_FOUND, PRECONDITION_FAILED = 404, 406


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
        """The arguments every queue is declared with. Quorum queues know no priorities before RabbitMQ 4.3."""
        return {"x-queue-type": "quorum"} if self.queue_type == "quorum" else {"x-max-priority": MAX_PRIORITY}

    def idle(self, queues: Iterable[str]) -> set[str]:
        """The queues without a ready message, and those that are not there. What a worker has taken and not
        acknowledged is not counted: AMQP does not tell."""
        try:
            with pika.BlockingConnection(self.parameters) as connection:
                return {queue for queue in queues if not _ready(connection, queue)}
        except LOST as error:
            raise ConnectionError(f"RabbitMQ at {self.parameters.host}: {error!r}") from error

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> RabbitmqConsumer:
        subscription = self.subscriptions[queue_name]
        connect = partial(self._connect, subscription, prefetch=prefetch)
        return RabbitmqConsumer(self, subscription, connect=connect, timeout=timeout / 1000)

    def _connect(self, subscription: Subscription, *, prefetch: int) -> Session:
        with pika.BlockingConnection(self.parameters) as connection:
            declare(connection.channel(), self, [subscription])
        return Session(self.parameters, subscription, prefetch=prefetch_for(subscription, prefetch))


def prefetch_for(subscription: Subscription, prefetch: int) -> int:
    """How many messages may be in this process: enough to keep its threads busy, and no more than its pool's slots
    and one for the next to come free can hold; all others wait in the broker. A pool that grows is filled from the next
    connection on: RabbitMQ lets nobody change it for a consumer it has."""
    slots = get_pool().capacity + 1
    return max(min(prefetch, slots), min(GROUPS_AHEAD, slots) * subscription.together)


def _ready(connection: pika.BlockingConnection, queue: str) -> int:
    """How many messages wait in a queue."""
    channel = connection.channel()
    try:
        count: int = channel.queue_declare(queue, passive=True).method.message_count
    except ChannelClosedByBroker as error:
        if error.reply_code != NOT_FOUND:
            raise
        return 0
    channel.close()
    return count


class MismatchError(ConnectionError):
    """A queue stands at the broker with arguments other than this code's; the message says what to do."""


def declare(channel: Any, broker: RabbitmqBroker, subscriptions: Sequence[Subscription]) -> Any:
    """Make the exchange, and a bound queue for each subscriber, unless they are there; returns the channel to go on
    with.

    Raises MismatchError for a queue that was made with other arguments.
    """
    channel.exchange_declare(broker.exchange, exchange_type="topic", durable=True)
    for subscription in subscriptions:
        channel = _declare_queue(channel, broker, subscription.queue)
        for pattern in subscription.patterns:
            channel.queue_bind(subscription.queue, broker.exchange, pattern)
    return channel


def _declare_queue(channel: Any, broker: RabbitmqBroker, queue: str) -> Any:
    """Make a queue; returns the channel to go on with."""
    arguments = dict(broker.queue_arguments)
    if broker.queue_type == "quorum" and _drops_redelivered(channel):
        arguments["x-delivery-limit"] = -1
    try:
        channel.queue_declare(queue, durable=True, arguments=arguments)
    except ChannelClosedByBroker as error:
        if error.reply_code != PRECONDITION_FAILED:
            raise
        if "x-delivery-limit" in error.reply_text:
            # Made by a server that knew no default limit, or with a limit on purpose.
            log.warning(
                "quorum queue with a delivery limit: set a policy delivery-limit -1, or what it drops is healed later",
                queue=queue,
            )
            return channel.connection.channel()
        raise MismatchError(
            f"RabbitMQ has the queue {queue} with other arguments than MQ_QUEUE_TYPE={broker.queue_type} needs "
            f"({error.reply_text}). The arguments of a queue cannot be changed. Set MQ_QUEUE_TYPE back; or stop the "
            f"relay, let the workers drain the queue and delete it (rabbitmqctl delete_queue {queue}); or choose "
            "another MQ_QUEUE_PREFIX, which creates new queues, and remove the old ones with manage.py topology unbind"
        ) from None
    return channel


def _drops_redelivered(channel: Any) -> bool:
    """Whether the server drops what a quorum queue redelivered 20 times, unless told not to: RabbitMQ from 4.0 on.

    Before, it has no limit, and takes -1 for 0.
    """
    version = str((channel.connection._impl.server_properties or {}).get("version", ""))
    major = version.split(".")[0]
    return major.isdecimal() and int(major) >= 4
