"""Publisher: many messages to RabbitMQ at once, each confirmed, on pika's public asynchronous API."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pika
import structlog
from pika.exceptions import AMQPError

from ...envelope import CONTENT_TYPE
from ..rabbitmq import RabbitmqBroker, declare
from .connection import DrivenConnection

log = structlog.get_logger("events.relay")

#: How often one who waits for the broker is asked whether to go on, in seconds.
PATIENCE = 1.0


class PublishError(ConnectionError):
    """The broker did not take a batch: it is down, blocked or refused it. Nothing of the batch may be considered
    sent."""


class Outgoing(NamedTuple):
    """One message. To an exchange by topic, or with exchange "" to the queue named by `routing_key`."""

    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    priority: int = 0
    headers: dict[str, Any] | None = None


class Publisher:
    """One connection in confirm mode, driven by the calling thread; it opens when needed.

    timeout: seconds that the broker may be silent. A broker that says it is blocked (its memory or disk is short) is
    waited for without end, as what was sent to it is not lost; meanwhile go_on is asked every second, and when it says
    no, the wait ends.
    """

    def __init__(
        self, broker: RabbitmqBroker, *, timeout: float = 30.0, go_on: Callable[[], bool] = lambda: True
    ) -> None:
        self._broker = broker
        self._timeout = timeout
        self._go_on = go_on
        #: Why the broker takes nothing at present, in its own words; empty if it does.
        self.blocked = ""
        self._connection: DrivenConnection | None = None
        self._channel: Any = None
        self._error: BaseException | str | None = None
        self._next_tag = 1
        self._open_tags: set[int] = set()
        self._refused: set[int] = set()
        self._returned: set[str] = set()

    def publish(self, messages: Sequence[Outgoing]) -> set[str]:
        """Publish messages and wait for their confirms; returns the ids of those that no queue took.

        Raises PublishError if not every message was confirmed; then any of them may have been sent or not.
        """
        self._ensure_open()
        self._drive_until(lambda: not self.blocked, what="room")
        self._returned.clear()
        self._refused.clear()
        self._open_tags = set(range(self._next_tag, self._next_tag + len(messages)))
        self._next_tag += len(messages)
        for message in messages:
            self._channel.basic_publish(
                exchange=message.exchange,
                routing_key=message.routing_key,
                body=message.body,
                properties=pika.BasicProperties(
                    content_type=CONTENT_TYPE,
                    delivery_mode=2,
                    message_id=message.message_id,
                    priority=message.priority,
                    headers=message.headers,
                ),
                mandatory=True,
            )
        self._drive_until(lambda: not self._open_tags, what="confirms")
        if self._refused:
            self.close()
            raise PublishError(f"RabbitMQ refused {len(self._refused)} of {len(messages)} messages")
        return set(self._returned)

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._channel is not None and self._channel.is_open

    def pump(self) -> None:
        """Answer heartbeats without waiting."""
        if self._connection is not None and self._connection.is_open:
            self._connection.turn(at_most=0)

    def close(self) -> None:
        """Close the connection, if there is one; what was not confirmed counts as not sent."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.end()

    def _ensure_open(self) -> None:
        if self.connected:
            return
        self.close()
        self._declare_everything()
        self._error = None
        self.blocked = ""
        self._connection = DrivenConnection(
            self._broker.parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._on_channel),
            on_open_error_callback=lambda connection, error: self._fail(error),
            on_close_callback=lambda connection, error: self._fail(error),
        )
        self._connection.add_on_connection_blocked_callback(self._on_blocked)
        self._connection.add_on_connection_unblocked_callback(self._on_unblocked)
        self._drive_until(lambda: self._channel is not None, what="a connection")

    def _declare_everything(self) -> None:
        """All queues stand before the first message is published: what finds no queue then has no subscriber."""
        try:
            connection = pika.BlockingConnection(self._broker.parameters)
            try:
                declare(connection.channel(), self._broker, list(self._broker.subscriptions.values()))
            finally:
                if connection.is_open:
                    connection.close()
        except (AMQPError, OSError) as error:
            raise PublishError(f"cannot declare queues at RabbitMQ: {error!r}") from error

    def _on_channel(self, channel: Any) -> None:
        self._next_tag = 1
        channel.add_on_close_callback(lambda channel, error: self._fail(error))
        channel.add_on_return_callback(
            lambda channel, method, properties, body: self._returned.add(properties.message_id)
        )
        channel.confirm_delivery(self._on_confirm, callback=lambda frame: self._on_ready(channel))

    def _on_ready(self, channel: Any) -> None:
        self._channel = channel

    def _on_confirm(self, frame: Any) -> None:
        tag, acked = frame.method.delivery_tag, isinstance(frame.method, pika.spec.Basic.Ack)
        settled = {one for one in self._open_tags if one <= tag} if frame.method.multiple else {tag}
        if not acked:
            self._refused |= settled
        self._open_tags -= settled

    def _on_blocked(self, connection: Any, frame: Any) -> None:
        self.blocked = str(frame.method.reason) or "blocked"
        log.warning("RabbitMQ is blocked: events wait in the outbox", reason=self.blocked)

    def _on_unblocked(self, connection: Any, frame: Any) -> None:
        self.blocked = ""
        log.info("RabbitMQ takes events again")

    def _fail(self, error: BaseException) -> None:
        self._error = error

    def _drive_until(self, reached: Callable[[], bool], *, what: str) -> None:
        """Run the connection's loop until a condition holds, the connection fails or time is up."""
        assert self._connection is not None
        asked = now = time.monotonic()
        deadline = now + self._timeout
        while not reached():
            if self.blocked:
                deadline = now + self._timeout
            if self._error is None and now >= asked + PATIENCE:
                asked = now
                if not self._go_on():
                    self._error = "given up"
            if self._error is not None or now >= deadline:
                error = self._error or f"no {what} within {self._timeout} s"
                self.close()
                raise PublishError(f"RabbitMQ at {self._broker.parameters.host}: {error!r}")
            self._connection.turn(at_most=min(PATIENCE, deadline - now))
            now = time.monotonic()
