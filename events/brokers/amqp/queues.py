"""Queues: what stands at RabbitMQ's server, for an operator and for reconcile."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pika.exceptions import ChannelClosedByBroker

from ...logger import get_logger
from ...subscription import Subscription
from ..contract import QueueSize, TopologyError
from .calls import Calls, briefly
from .connection import CONNECTION_ERRORS
from .declare import declare
from .management import ManagementError, sizes_by_api
from .marks import mark, remove_marks
from .refusals import NOT_FOUND, PRECONDITION_FAILED, in_words

if TYPE_CHECKING:
    from ..rabbitmq import RabbitmqBroker

log = get_logger("events.rabbitmq")


def sizes_of(calls: Calls, queues: Iterable[str]) -> dict[str, QueueSize | None]:
    """The size of each queue, or None if it does not exist. Raises one of CONNECTION_ERRORS."""
    sizes: dict[str, QueueSize | None] = {}
    channel = calls.channel()
    for queue in queues:
        try:
            method = channel.queue_declare(queue, passive=True).method
        except ChannelClosedByBroker as error:
            if error.reply_code != NOT_FOUND:
                raise
            sizes[queue] = None
            channel = calls.channel()
        else:
            sizes[queue] = QueueSize(messages=method.message_count, consumers=method.consumer_count)
    channel.close()
    return sizes


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
        with self._connected() as calls:
            declare(calls.channel(), self._broker, subscriptions)

    def sizes(self, queues: Iterable[str]) -> dict[str, QueueSize | None]:
        wanted = list(queues)
        with self._connected() as calls:
            found = sizes_of(calls, wanted)
        return found | self._more_figures([queue for queue in wanted if found[queue] is not None])

    def _more_figures(self, queues: Sequence[str]) -> dict[str, QueueSize]:
        """What the management API knows beyond AMQP; nothing where it is not set or gives no answer."""
        broker, where = self._broker, self._broker.parameters
        if not broker.api_url:
            return {}
        user, password = where.credentials.username, where.credentials.password
        try:
            return sizes_by_api(broker.api_url, user=user, password=password, vhost=where.virtual_host, queues=queues)
        except ManagementError as error:
            log.warning(str(error))
            return {}

    def unbind(self, queue: str, patterns: Iterable[str]) -> None:
        with self._connected() as calls:
            channel = calls.channel()
            for pattern in patterns:
                channel.queue_unbind(queue, self.exchange, pattern)

    def adopt(self, installation: uuid.UUID) -> None:
        with self._connected() as calls:
            remove_marks(calls, self._broker)
            mark(calls, self._broker, installation)

    def delete(self, queue: str, *, force: bool) -> None:
        with self._connected() as calls:
            try:
                calls.channel().queue_delete(queue, if_unused=True, if_empty=not force)
            except ChannelClosedByBroker as error:
                if error.reply_code != PRECONDITION_FAILED:
                    raise
                raise TopologyError(
                    f"{queue} is not deleted: {error.reply_text}. Stop what consumes it, and drain it with the code "
                    "that had the subscriber, or --force: its messages are then gone."
                ) from None

    @contextmanager
    def _connected(self) -> Iterator[Calls]:
        """A connection whose failures are raised as TopologyError, in words."""
        parameters = self._broker.parameters_for("topology")
        try:
            with briefly(parameters) as calls:
                yield calls
        except CONNECTION_ERRORS as error:
            raise TopologyError(in_words(error, parameters)) from error
