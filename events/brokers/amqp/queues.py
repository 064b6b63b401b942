"""Queues: the exchange, and a queue with its bindings per subscriber, at RabbitMQ's server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from ...logger import get_logger
from ...subscription import Subscription
from ..contract import QueueSize, TopologyError

if TYPE_CHECKING:
    from ..rabbitmq import RabbitmqBroker

log = get_logger("events.rabbitmq")

NOT_FOUND, PRECONDITION_FAILED = 404, 406


class MismatchError(ConnectionError):
    """A queue exists at the server with other arguments than this code's; the message says what to do."""


def declare(channel: Any, broker: RabbitmqBroker, subscriptions: Sequence[Subscription]) -> Any:
    """Make the exchange, and a bound queue for each subscriber, unless they exist; returns the channel to continue
    with.

    Raises MismatchError for a queue that was made with other arguments.
    """
    channel.exchange_declare(broker.exchange, exchange_type="topic", durable=True)
    for subscription in subscriptions:
        channel = _declare_queue(channel, broker, subscription.queue)
        for pattern in subscription.patterns:
            channel.queue_bind(subscription.queue, broker.exchange, pattern)
    return channel


def size_of(connection: pika.BlockingConnection, queue: str) -> QueueSize | None:
    """The size of a queue, or None if it does not exist."""
    channel = connection.channel()
    try:
        method = channel.queue_declare(queue, passive=True).method
    except ChannelClosedByBroker as error:
        if error.reply_code != NOT_FOUND:
            raise
        return None
    channel.close()
    return QueueSize(messages=method.message_count, consumers=method.consumer_count)


class RabbitmqTopology:
    """The queues at the server, for an operator."""

    def __init__(self, broker: RabbitmqBroker) -> None:
        self._broker = broker

    @property
    def title(self) -> str:
        where = self._broker.parameters
        return (
            f"Exchange {self.exchange} at {where.host}:{where.port}, vhost {where.virtual_host}; "
            f"{self._broker.queue_type} queues {self._broker.queue_arguments}"
        )

    @property
    def exchange(self) -> str:
        return self._broker.exchange

    def describe(self) -> dict[str, Any]:
        return {
            "exchange": self.exchange,
            "vhost": self._broker.parameters.virtual_host,
            "type": self._broker.queue_type,
            "arguments": self._broker.queue_arguments,
        }

    def declare(self, subscriptions: Sequence[Subscription]) -> None:
        with _Connected(self._broker) as connection:
            try:
                declare(connection.channel(), self._broker, subscriptions)
            except MismatchError as error:
                raise TopologyError(str(error)) from None

    def sizes(self, queues: Iterable[str]) -> dict[str, QueueSize | None]:
        with _Connected(self._broker) as connection:
            return {queue: size_of(connection, queue) for queue in queues}

    def unbind(self, queue: str, patterns: Iterable[str]) -> None:
        with _Connected(self._broker) as connection:
            channel = connection.channel()
            for pattern in patterns:
                channel.queue_unbind(queue, self.exchange, pattern)

    def delete(self, queue: str, *, force: bool) -> None:
        with _Connected(self._broker) as connection:
            try:
                connection.channel().queue_delete(queue, if_unused=True, if_empty=not force)
            except ChannelClosedByBroker as error:
                raise TopologyError(
                    f"{queue} is not deleted: {error.reply_text}. Stop what consumes it, and drain it with the code "
                    "that had the subscriber, or --force: its messages are then gone."
                ) from None


class _Connected:
    """A connection whose failures are raised as TopologyError."""

    def __init__(self, broker: RabbitmqBroker) -> None:
        self._broker = broker

    def __enter__(self) -> pika.BlockingConnection:
        try:
            self._connection = pika.BlockingConnection(self._broker.parameters)
        except (AMQPError, OSError) as error:
            raise self._unreachable(error) from None
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._connection.is_open:
            self._connection.close()
        if isinstance(error, AMQPError):
            raise self._unreachable(error) from error

    def _unreachable(self, error: BaseException) -> TopologyError:
        where = self._broker.parameters
        return TopologyError(
            f"RabbitMQ at {where.host}:{where.port}, vhost {where.virtual_host}: {error!r}. Check MQ_HOST, MQ_PORT, "
            "MQ_VHOST, MQ_USER and MQ_PASSWORD."
        )


def _declare_queue(channel: Any, broker: RabbitmqBroker, queue: str) -> Any:
    """Make a queue; returns the channel to continue with."""
    arguments = dict(broker.queue_arguments)
    if broker.queue_type == "quorum" and _drops_redelivered(channel):
        arguments["x-delivery-limit"] = -1
    try:
        channel.queue_declare(queue, durable=True, arguments=arguments)
    except ChannelClosedByBroker as error:
        if error.reply_code != PRECONDITION_FAILED:
            raise
        if "x-delivery-limit" in error.reply_text:
            # The queue was made by a server without a default limit, or has a limit on purpose.
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
    """Whether the server drops a message that a quorum queue has redelivered 20 times, unless the limit is set to -1.

    RabbitMQ does so from 4.0 on. Before, it has no limit, and reads -1 as 0.
    """
    version = str((channel.connection._impl.server_properties or {}).get("version", ""))
    major = version.split(".")[0]
    return major.isdecimal() and int(major) >= 4
