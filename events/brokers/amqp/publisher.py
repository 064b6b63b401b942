"""Publisher: many messages to RabbitMQ at once, each confirmed, through pika's asynchronous connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pika

from ...envelope import CONTENT_TYPE
from ...logger import get_logger
from ..contract import GivenUpError, Outgoing
from .calls import Calls
from .connection import CONNECTION_ERRORS, ManualConnection
from .declare import declare
from .refusals import in_words

if TYPE_CHECKING:
    from ..rabbitmq import RabbitmqBroker

log = get_logger("events.relay")

#: Seconds between two calls of `go_on` while the broker keeps the publisher waiting.
GO_ON_INTERVAL = 1.0


class PublishError(ConnectionError):
    """The broker did not take a batch: it is down, blocked, or has refused it. No message of the batch counts as
    published."""


class RabbitmqPublisher:
    """One connection in confirm mode, run by the calling thread. It opens when it is needed.

    timeout: seconds that the broker may be silent. A broker that reports itself as blocked (short of memory or disk)
    has no time limit, since what was sent to it is not lost; meanwhile `go_on` is called every second, and the wait
    ends when the answer is False.
    """

    def __init__(
        self, broker: RabbitmqBroker, *, timeout: float = 30.0, go_on: Callable[[], bool] = lambda: True
    ) -> None:
        self._broker = broker
        self._timeout = timeout
        self._go_on = go_on
        #: Why the broker takes no messages now, in its own words; empty when it takes them.
        self.blocked = ""
        self._connection: ManualConnection | None = None
        self._channel: Any = None
        self._error: BaseException | str | None = None
        self._next_tag = 1
        self._open_tags: set[int] = set()
        self._refused: set[int] = set()
        self._returned: set[str] = set()

    def publish(self, messages: Sequence[Outgoing]) -> set[str]:
        """Publish messages and wait for their confirms; returns the ids of those that no queue took.

        Raises PublishError if not every message was confirmed: each of them may have been published or not.
        """
        self._ensure_open()
        self._run_until(lambda: not self.blocked, what="room")
        if not self._go_on():
            raise GivenUpError("told not to go on")
        self._returned.clear()
        self._refused.clear()
        self._open_tags = set(range(self._next_tag, self._next_tag + len(messages)))
        self._next_tag += len(messages)
        for message in messages:
            self._channel.basic_publish(
                exchange="" if message.queue else self._broker.exchange,
                routing_key=message.queue or message.topic,
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
        self._run_until(lambda: not self._open_tags, what="confirms")
        if self._refused:
            self.close()
            raise PublishError(f"RabbitMQ refused {len(self._refused)} of {len(messages)} messages")
        return set(self._returned)

    @property
    def connected(self) -> bool:
        """Whether the connection is open, as far as this process can see."""
        return self._channel is not None and self._channel.is_open

    def keep_alive(self) -> None:
        """Answer heartbeats, without waiting."""
        if self._connection is not None and self._connection.is_open:
            self._connection.run_once(at_most=0)

    def close(self) -> None:
        """Close the connection, if there is one. Messages without a confirm count as not published."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.end()

    def _ensure_open(self) -> None:
        if self.connected:
            return
        self.close()
        self._error = None
        self.blocked = ""
        self._connection = ManualConnection(
            self._broker.parameters_for("relay"),
            on_open_error_callback=lambda connection, error: self._fail(error),
            on_close_callback=lambda connection, error: self._fail(error),
        )
        connection = self._connection
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        self._run_until(lambda: connection.is_open, what="a connection")
        self._declare_everything(connection)
        connection.channel(on_open_callback=self._on_channel)
        self._run_until(lambda: self._channel is not None, what="a channel")

    def _declare_everything(self, connection: ManualConnection) -> None:
        """Declare all queues before the first message is published: a message that finds no queue then has no
        subscriber."""
        calls = Calls(connection, timeout=self._timeout, go_on=self._go_on)
        try:
            declare(calls.channel(), self._broker, list(self._broker.subscriptions.values())).close()
        except CONNECTION_ERRORS as error:
            self.close()
            raise PublishError(in_words(error, self._broker.parameters)) from error

    def calls(self) -> Calls:
        """Calls over this publisher's connection, which is opened if need be. Raises PublishError."""
        self._ensure_open()
        assert self._connection is not None
        return Calls(self._connection, timeout=self._timeout, go_on=self._go_on)

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

    def _run_until(self, reached: Callable[[], bool], *, what: str) -> None:
        """Run the connection until a condition holds. Raises PublishError when it fails or time is up."""
        assert self._connection is not None
        asked = now = time.monotonic()
        deadline = now + self._timeout
        while not reached():
            if self.blocked:
                deadline = now + self._timeout
            if self._error is None and now >= asked + GO_ON_INTERVAL:
                asked = now
                if not self._go_on():
                    self._error = "given up"
            if self._error is not None or now >= deadline:
                error = self._error or f"no {what} within {self._timeout} s"
                self.close()
                raise PublishError(in_words(error, self._broker.parameters))
            self._connection.run_once(at_most=min(GO_ON_INTERVAL, deadline - now))
            now = time.monotonic()
