"""Consumer: the messages of one queue for as long as the worker runs, over one connection after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dramatiq.broker import MessageProxy
from dramatiq.common import compute_backoff

from ...logger import get_logger
from ...subscription import Subscription
from ..contract import RECONNECT_BACKOFF, EventConsumer, MessageGroup
from .channel import ConsumerChannel
from .connection import CONNECTION_ERRORS
from .refusals import in_words

if TYPE_CHECKING:
    from ..rabbitmq import RabbitmqBroker

log = get_logger("events.rabbitmq")

#: Seconds between two checks of a consumer without a connection, whether the worker has ended.
STOPPING_POLL = 0.1


class RabbitmqConsumer(EventConsumer):
    """Hands out messages, and connects again by itself: dramatiq would wait a fixed time, and log each error with its
    traceback."""

    def __init__(
        self,
        broker: RabbitmqBroker,
        subscription: Subscription,
        *,
        connect: Callable[[], ConsumerChannel],
        timeout: float,
    ) -> None:
        super().__init__(broker)
        self._parameters = broker.parameters
        self._subscription = subscription
        self._connect = connect
        self._timeout = timeout
        self._channel: ConsumerChannel | None = None
        self._failures = 0
        self._connect_at = 0.0

    def __next__(self) -> MessageProxy | None:
        may_take = self._may_take()
        try:
            channel = self._channel or self._open()
            if channel is None:
                return None
            if not may_take:
                channel.stop_consuming()
            messages = channel.take(timeout=self._timeout)
        except CONNECTION_ERRORS as error:
            self._lose(error)
            return None
        if channel.is_open:
            self._failures = 0
        return MessageGroup(messages, subscription=self._subscription, origin=channel) if messages else None

    def _open(self) -> ConsumerChannel | None:
        """A new channel, or None while it is too early for one. The thread must notice in time that the worker ends."""
        wait = self._connect_at - time.monotonic()
        if self._broker.stopping.wait(min(max(0.0, wait), self._timeout)):
            time.sleep(STOPPING_POLL)
            return None
        if wait > self._timeout:
            return None
        self._channel = self._connect()
        return self._channel

    def _lose(self, error: BaseException) -> None:
        self.close()
        self._failures, pause = compute_backoff(
            self._failures, factor=RECONNECT_BACKOFF[0], max_backoff=RECONNECT_BACKOFF[1]
        )
        self._connect_at = time.monotonic() + pause / 1000
        log.warning(
            "no connection to RabbitMQ",
            queue=self._subscription.queue,
            error=in_words(error, self._parameters),
            again_in=pause / 1000,
        )

    def ack(self, message: MessageGroup) -> None:  # type: ignore[override]
        message.origin.settle(message, done=True)

    def nack(self, message: MessageGroup) -> None:  # type: ignore[override]
        message.origin.settle(message, done=False)

    def requeue(self, messages: Iterable[MessageGroup]) -> None:  # type: ignore[override]
        for message in messages:
            message.origin.settle(message, done=False, pause=0)

    def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
