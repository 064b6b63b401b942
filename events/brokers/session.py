"""Session: one connection to RabbitMQ and what was delivered through it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import pika
import structlog
from pika.exceptions import AMQPError

from events.arrival import Arrival
from events.brokers.contract import ArrivalMessage
from events.brokers.watermark import Watermark
from events.subscription import Subscription

log = structlog.get_logger("events.rabbitmq")

#: How long a message whose delivery had no outcome waits before it returns to its queue, in seconds.
PAUSE = 1.0
#: How long what is done waits for an older message, so that one acknowledgement does for both, in seconds.
PATIENCE = 0.05
#: What a connection that is gone raises, depending on where it is noticed.
LOST = (AMQPError, AssertionError, OSError, StopIteration)


class Session:
    """One queue, one connection, one channel, driven by one thread; its messages are settled from any thread.

    A delivery tag means something on its own channel alone, so a message is settled with the session that delivered
    it. If that is gone, nobody settles it, and the broker delivers it again.
    """

    def __init__(self, connection: pika.BlockingConnection, subscription: Subscription, *, prefetch: int) -> None:
        self._connection = connection
        self._subscription = subscription
        self._prefetch = prefetch
        self._channel = connection.channel()
        self._channel.basic_qos(prefetch_count=prefetch)
        self._incoming: Any = None
        self._held: Arrival | None = None
        self._outcomes: deque[tuple[Sequence[int], bool, float]] = deque()
        self._watermark = Watermark()
        self._consuming = True
        self._alarm = False

    def take(self, *, timeout: float) -> list[Arrival]:
        """The messages that wait, up to what may share a transaction, as soon as there is one; none after `timeout`
        seconds. One that was redelivered comes alone."""
        if not self._consuming:
            self._connection.process_data_events(time_limit=timeout)
            return []
        if self._incoming is None:
            self._incoming = self._channel.consume(self._subscription.queue, inactivity_timeout=timeout)
        first, self._held = self._held or self._next(), None
        if first is None:
            return []
        taken = [first]
        while not first.redelivered and len(taken) < self._subscription.together:
            if not self._channel.get_waiting_message_count():
                break
            arrival = self._next()
            if arrival is None:
                break
            if arrival.redelivered:
                self._held = arrival
                break
            taken.append(arrival)
        return taken

    def _next(self) -> Arrival | None:
        method, properties, body = next(self._incoming)
        if method is None:
            return None
        headers = properties.headers or {}
        return Arrival.read(
            body,
            run=_counted(headers, "run", 0),
            attempt=_counted(headers, "attempt", 1),
            priority=min(properties.priority or 0, 9),
            redelivered=method.redelivered,
            tag=method.delivery_tag,
        )

    def stop_consuming(self) -> None:
        """Take no more, and give back at once what nobody was handed; what was handed out can still be settled."""
        if self._consuming:
            self._consuming = False
            if self._held is not None:
                self._channel.basic_nack(self._held.tag, requeue=True)
            if self._incoming is not None:
                self._channel.cancel()

    def settle(self, message: ArrivalMessage, *, done: bool, pause: float = PAUSE) -> None:
        """Acknowledge a message, or give it back after a pause of so many seconds. For any thread."""
        self._outcomes.append(([arrival.tag for arrival in message.arrivals], done, pause))
        try:
            self._connection.add_callback_threadsafe(self._settle)
        except AMQPError as error:
            log.info("left to redelivery: its connection is gone", queue=message.queue_name, error=repr(error))

    def _settle(self) -> None:
        while self._outcomes:
            tags, done, pause = self._outcomes.popleft()
            if done:
                self._watermark.done(tags)
            elif pause:
                self._connection.call_later(pause, lambda tags=tags: self._give_back(tags))
            else:
                self._give_back(tags)
        self._acknowledge()

    def _give_back(self, tags: Iterable[int]) -> None:
        for tag in tags:
            self._channel.basic_nack(tag, requeue=True)
        self._watermark.gone(tags)
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Acknowledge up to the first open tag at once; past it only when that stays open, or the window is nearly used
        up: many at once cost hardly more than one."""
        if tag := self._watermark.advance():
            self._channel.basic_ack(tag, multiple=True)
        self._acknowledge_overtakers(more_than=min(self._prefetch * 3 // 4, self._prefetch - 2))
        if self._watermark.is_held_up and not self._alarm:
            self._alarm = True
            self._connection.call_later(PATIENCE, self._lose_patience)

    def _lose_patience(self) -> None:
        self._alarm = False
        self._acknowledge_overtakers()

    def _acknowledge_overtakers(self, *, more_than: int = 0) -> None:
        for tag in self._watermark.overtakers(more_than=more_than):
            self._channel.basic_ack(tag)

    def close(self) -> None:
        """Settle what has its outcome and close the connection; the broker takes back the rest."""
        try:
            self._settle()
            self._acknowledge_overtakers()
            self._connection.close()
        except LOST as error:
            log.info("closed without a goodbye", queue=self._subscription.queue, error=repr(error))


def _counted(headers: dict[str, Any], name: str, default: int) -> int:
    """A number the relay put into the headers; what another publisher put there is no matter of ours."""
    value = headers.get(name)
    return value if isinstance(value, int) and default <= value < 2**15 else default
