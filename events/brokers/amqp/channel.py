"""Session: one connection to RabbitMQ and what was delivered through it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pika
import structlog

from ...inbox.message import Arrival
from ...subscription import Subscription
from ..contract import ArrivalMessage
from ..redelivered import POLL, turn
from .acks import Watermark
from .connection import LOST, DrivenConnection

log = structlog.get_logger("events.rabbitmq")

#: How long a message whose delivery had no outcome waits before it returns to its queue, in seconds.
PAUSE = 1.0
#: How long what is done waits for an older message, so that one acknowledgement does for both, in seconds.
PATIENCE = 0.05
#: How long a few messages wait for more while others are being worked on, in seconds.
LINGER = 0.001


class Session:
    """One queue, one connection, one channel, driven by one thread; its messages are settled from any thread.

    It opens by itself while `take` waits. A delivery tag means something on its own channel alone, so a message is
    settled with the session that delivered it. If that is gone, nobody settles it, and the broker delivers it again.
    """

    def __init__(self, parameters: pika.ConnectionParameters, subscription: Subscription, *, prefetch: int) -> None:
        self._subscription = subscription
        self._prefetch = prefetch
        self._arrived: deque[Arrival] = deque()
        self._suspects: deque[Arrival] = deque()
        self._outcomes: deque[tuple[Sequence[int], bool, float]] = deque()
        self._watermark = Watermark()
        self._handed_out = 0
        self._alarm = False
        self._consuming = True
        self._error: BaseException | None = None
        self._channel: Any = None
        # Its blocking sister puts each message through a queue of events more.
        self._connection = DrivenConnection(
            parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._on_channel),
            on_open_error_callback=self._on_lost,
            on_close_callback=self._on_lost,
        )

    def take(self, *, timeout: float) -> list[Arrival]:
        """The messages that wait, up to what may share a transaction, as soon as there is one; none after `timeout`
        seconds. One that was redelivered comes alone, when it is its turn; fresh ones go past.

        Raises one of LOST.
        """
        if self._suspects and turn.begin(self):
            return self._hand_out([self._suspects.popleft()])
        together, seen = self._subscription.together, len(self._arrived)
        self._run(0 if seen else min(timeout, POLL) if self._suspects else timeout, until=self._has_some)
        # Where several come there are often more. Nobody is idle for want of them while others are being worked on.
        while max(seen, 1) < len(self._arrived) < together:
            seen = len(self._arrived)
            self._run(LINGER if self._handed_out else 0, until=lambda: len(self._arrived) >= together)
        return self._hand_out([self._arrived.popleft() for _ in range(min(together, len(self._arrived)))])

    def _has_some(self) -> bool:
        return bool(self._arrived) or (bool(self._suspects) and turn.is_free(self))

    def _hand_out(self, arrivals: list[Arrival]) -> list[Arrival]:
        self._handed_out += len(arrivals)
        return arrivals

    @property
    def is_open(self) -> bool:
        """Whether messages can arrive, as far as is known."""
        return self._channel is not None and self._channel.is_open

    def _run(self, seconds: float, *, until: Callable[[], bool]) -> None:
        """Read, write and call back until a condition holds, or for so many seconds; once in any case."""
        deadline = time.monotonic() + seconds
        left = seconds
        while left >= 0:
            self._connection.turn(at_most=left)
            if self._error is not None:
                raise self._error
            if until():
                return
            left = deadline - time.monotonic()

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_lost)
        channel.add_on_cancel_callback(
            lambda frame: self._on_lost(
                channel, ConnectionError("RabbitMQ cancelled the consumer: its queue was deleted")
            )
        )
        if self._consuming:
            channel.basic_qos(prefetch_count=self._prefetch)
            channel.basic_consume(self._subscription.queue, self._on_message)

    def _on_message(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        headers = properties.headers or {}
        waiting = self._suspects if method.redelivered else self._arrived
        waiting.append(
            Arrival.read(
                body,
                run=_counted(headers, "run", 0),
                attempt=_counted(headers, "attempt", 1),
                priority=min(properties.priority or 0, 9),
                redelivered=method.redelivered,
                tag=method.delivery_tag,
            )
        )

    def _on_lost(self, which: Any, error: BaseException | str) -> None:
        self._error = error if isinstance(error, LOST) else ConnectionError(f"RabbitMQ: {error!r}")

    def stop_consuming(self) -> None:
        """Take no more, and give back at once what nobody was handed; what was handed out can still be settled."""
        if not self._consuming:
            return
        self._consuming = False
        if self.is_open:
            for tag in self._channel.consumer_tags:
                self._channel.basic_cancel(tag)  # what still comes is rejected by pika
            self._give_back([arrival.tag for arrival in (*self._suspects, *self._arrived)])
        self._suspects.clear()
        self._arrived.clear()

    def settle(self, message: ArrivalMessage, *, done: bool, pause: float = PAUSE) -> None:
        """Acknowledge a message, or give it back after a pause of so many seconds. For any thread."""
        turn.end(message.arrivals)
        self._outcomes.append(([arrival.tag for arrival in message.arrivals], done, pause))
        if self._error is not None:
            log.info("left to redelivery: its connection is gone", queue=message.queue_name, error=repr(self._error))
        self._connection.ioloop.add_callback_threadsafe(self._settle)

    def _settle(self) -> None:
        while self._outcomes:
            tags, done, pause = self._outcomes.popleft()
            self._handed_out -= len(tags)
            if done:
                self._watermark.done(tags)
            elif pause:
                self._connection.ioloop.call_later(pause, lambda tags=tags: self._give_back(tags))
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
            self._connection.ioloop.call_later(PATIENCE, self._lose_patience)

    def _lose_patience(self) -> None:
        self._alarm = False
        self._acknowledge_overtakers()

    def _acknowledge_overtakers(self, *, more_than: int = 0) -> None:
        for tag in self._watermark.overtakers(more_than=more_than):
            self._channel.basic_ack(tag)

    def close(self) -> None:
        """Settle what has its outcome and close the connection; the broker takes back the rest."""
        try:
            if self.is_open:
                self._settle()
                self._acknowledge_overtakers()
        except LOST as error:
            log.info("left to redelivery: its connection is gone", queue=self._subscription.queue, error=repr(error))
        finally:
            self._connection.end()


def _counted(headers: dict[str, Any], name: str, default: int) -> int:
    """A number the relay put into the headers; what another publisher put there is no matter of ours."""
    value = headers.get(name)
    return value if isinstance(value, int) and default <= value < 2**15 else default
