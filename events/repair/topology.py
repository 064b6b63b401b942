"""Topology: exchange, queues and bindings at the broker, compared with what the code subscribes to."""

from __future__ import annotations

from dataclasses import dataclass

import pika
from django.db import router, transaction
from pika.exceptions import AMQPError, ChannelClosedByBroker

from ..brokers.rabbitmq import NOT_FOUND, MismatchError, RabbitmqBroker, declare
from ..models import Subscription
from ..subscription import subscriptions
from .announce import announce, bindings_of


class TopologyError(RuntimeError):
    """The broker's queues are not as this code needs them, or it does not answer; the message says what to do."""


@dataclass(kw_only=True)
class Queue:
    """One queue: whom it is for, which patterns are bound that the code has (`patterns`) and that it has no more
    (`stale`), and what the broker says of it; `messages` and `consumers` are None if it is not there. A queue that
    nobody subscribes to any more is an orphan."""

    name: str
    subscriber: str
    patterns: list[str]
    stale: list[str]
    orphan: bool
    messages: int | None = None
    consumers: int | None = None


def survey(broker: RabbitmqBroker) -> list[Queue]:
    """Every queue that the code has or the Subscription table remembers. Raises TopologyError."""
    queues = {
        one.queue: Queue(name=one.queue, subscriber=one.name, patterns=list(one.patterns), stale=[], orphan=False)
        for one in subscriptions.values()
    }
    for row in Subscription.objects.all():
        for name, bound in bindings_of(row).items():
            queue = queues.setdefault(name, Queue(name=name, subscriber=row.name, patterns=[], stale=[], orphan=True))
            queue.stale += sorted(set(bound) - set(queue.patterns))
    with _connected(broker) as connection:
        for queue in queues.values():
            queue.messages, queue.consumers = _counts(connection, queue.name)
    return sorted(queues.values(), key=lambda queue: (queue.orphan, queue.name))


def declare_all(broker: RabbitmqBroker) -> int:
    """Make the exchange and all queues and bindings of this code, unless they are there, and enter the subscribers;
    returns how many queues there are. Raises TopologyError; the broker then has what it had and perhaps more."""
    with _connected(broker) as connection:
        try:
            declare(connection.channel(), broker, list(subscriptions.values()))
        except MismatchError as error:
            raise TopologyError(str(error)) from None
    announce()
    return len(subscriptions)


def unbind(broker: RabbitmqBroker, queue: Queue) -> None:
    """Take away what the code has no more: the stale bindings of a queue. Raises TopologyError."""
    with _connected(broker) as connection:
        channel = connection.channel()
        for pattern in queue.stale if queue.messages is not None else ():
            channel.queue_unbind(queue.name, broker.exchange, pattern)
    _forget(queue, queue_too=queue.orphan and queue.messages is None)


def delete(broker: RabbitmqBroker, queue: Queue, *, force: bool = False) -> None:
    """Delete an orphaned queue; with what is in it only by `force`. The subscription is forgotten with its last queue.

    Raises TopologyError if the queue is in use or, without force, not empty.
    """
    if not queue.orphan:
        raise TopologyError(f"{queue.name} is the queue of {queue.subscriber}, which is still in the code.")
    with _connected(broker) as connection:
        channel = connection.channel()
        try:
            channel.queue_delete(queue.name, if_unused=True, if_empty=not force)
        except ChannelClosedByBroker as error:
            raise TopologyError(
                f"{queue.name} was not deleted: {error.reply_text}. Stop its consumers, and drain it with the version "
                "of the code that had the subscriber, or use --force, which loses its messages."
            ) from None
    _forget(queue, queue_too=True)


def _forget(queue: Queue, *, queue_too: bool) -> None:
    with transaction.atomic(using=router.db_for_write(Subscription)):
        row = Subscription.objects.select_for_update().filter(name=queue.subscriber).first()
        if row is None:
            return
        row.bindings = bindings_of(row)
        kept = {p: since for p, since in row.bindings.get(queue.name, {}).items() if p not in queue.stale}
        row.bindings[queue.name] = kept
        if queue_too:
            del row.bindings[queue.name]
        if not row.bindings and row.name not in subscriptions:
            row.delete()
        else:
            row.save(update_fields=["bindings"])


class _connected:
    """A connection, whose failures are told as TopologyError."""

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


def _counts(connection: pika.BlockingConnection, name: str) -> tuple[int | None, int | None]:
    channel = connection.channel()
    try:
        method = channel.queue_declare(name, passive=True).method
    except ChannelClosedByBroker as error:
        if error.reply_code != NOT_FOUND:
            raise
        return None, None
    channel.close()
    return method.message_count, method.consumer_count
