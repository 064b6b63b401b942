"""Declare: the exchange, and a queue with its bindings per subscriber. Without the right to configure, what exists is
used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pika.exceptions import ChannelClosedByBroker

from ...logger import get_logger
from ...subscription import Subscription
from .refusals import ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, MismatchError, MissingError, where

if TYPE_CHECKING:
    from ..rabbitmq import RabbitmqBroker

log = get_logger("events.rabbitmq")


def declare(channel: Any, broker: RabbitmqBroker, subscriptions: Sequence[Subscription]) -> Any:
    """Make the exchange, and a bound queue for each subscriber, unless they exist; returns the channel to continue
    with.

    channel: a CallChannel, or a channel of pika's BlockingConnection. Raises MismatchError for what exists with other
    properties, and MissingError for what does not exist and may not be made.
    """
    channel = _declare_exchange(channel, broker)
    for subscription in subscriptions:
        channel = _declare_queue(channel, broker, subscription.queue)
        for pattern in subscription.patterns:
            channel = _bind(channel, broker, subscription.queue, pattern)
    return channel


def _declare_exchange(channel: Any, broker: RabbitmqBroker) -> Any:
    try:
        channel.exchange_declare(broker.exchange, exchange_type="topic", durable=True)
    except ChannelClosedByBroker as error:
        if error.reply_code == ACCESS_REFUSED:
            return _use_what_exists(
                channel, broker, "exchange", broker.exchange, lambda new, name: new.exchange_declare(name, passive=True)
            )
        if error.reply_code == PRECONDITION_FAILED:
            raise MismatchError(
                f"{where(broker.parameters)}: the exchange {broker.exchange} exists, but it is no durable topic "
                f"exchange ({error.reply_text}). Another program made it: use a vhost of your own (MQ_VHOST), or "
                f"delete the exchange if nobody needs it: rabbitmqadmin delete exchange name={broker.exchange}"
            ) from None
        raise
    return channel


def _declare_queue(channel: Any, broker: RabbitmqBroker, queue: str) -> Any:
    arguments = dict(broker.queue_arguments)
    if broker.queue_type == "quorum" and drops_redelivered(channel):
        arguments["x-delivery-limit"] = -1
    try:
        channel.queue_declare(queue, durable=True, arguments=arguments)
    except ChannelClosedByBroker as error:
        if error.reply_code == ACCESS_REFUSED:
            return _use_what_exists(
                channel, broker, "queue", queue, lambda new, name: new.queue_declare(name, passive=True)
            )
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


def _bind(channel: Any, broker: RabbitmqBroker, queue: str, pattern: str) -> Any:
    try:
        channel.queue_bind(queue, broker.exchange, pattern)
    except ChannelClosedByBroker as error:
        if error.reply_code != ACCESS_REFUSED:
            raise
        # AMQP has no question for it. What the relay publishes without a queue is kept and told.
        log.info(
            "may not bind: the bindings are taken as they are. It needs the right to write to the queue and to read "
            "from the exchange, or an administrator's `manage.py topology declare`",
            queue=queue,
            exchange=broker.exchange,
            pattern=pattern,
        )
        return channel.connection.channel()
    return channel


def _use_what_exists(
    channel: Any, broker: RabbitmqBroker, kind: str, name: str, look: Callable[[Any, str], Any]
) -> Any:
    """The channel to continue with. Raises MissingError if there is no such exchange or queue."""
    channel = channel.connection.channel()
    try:
        look(channel, name)
    except ChannelClosedByBroker as error:
        if error.reply_code != NOT_FOUND:
            raise
        user = getattr(broker.parameters.credentials, "username", "")
        vhost = broker.parameters.virtual_host
        raise MissingError(
            f"{where(broker.parameters)}: the {kind} {name} is not there, and user {user} may not make it: it has not "
            "the right to configure it. Let an administrator run `manage.py topology declare` (with MQ_USER and "
            f"MQ_PASSWORD of his own), or give the right: rabbitmqctl set_permissions -p {vhost} {user} '.*' '.*' '.*'"
        ) from None
    return channel


def drops_redelivered(channel: Any) -> bool:
    """Whether the server drops a message that a quorum queue has redelivered 20 times, unless the limit is set to -1.

    RabbitMQ does so from 4.0 on. Before, it has no limit, and reads -1 as 0.
    """
    connection = getattr(channel.connection, "_impl", channel.connection)
    major = str((connection.server_properties or {}).get("version", "")).split(".")[0]
    return major.isdecimal() and int(major) >= 4
