"""Channel: one connection to RabbitMQ with one consuming channel, and the messages that it delivered."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pika

from ...inbox.message import ReceivedMessage
from ...logger import get_logger
from ...subscription import Subscription
from ..contract import GIVE_BACK_PAUSE, MessageGroup
from ..redelivered import RedeliveredQueue
from .acks import AckWindow
from .connection import CONNECTION_ERRORS, ManualConnection

log = get_logger("events.rabbitmq")

#: Seconds that a done message waits for an older one, so that one acknowledgement settles both.
ACK_DELAY = 0.05
#: Seconds that a few messages wait for more of their group while others are worked on.
GROUP_DELAY = 0.001


class Outcome(NamedTuple):
    """What became of the messages with these tags: done, or to be given back after `pause` seconds."""

    tags: Sequence[int]
    done: bool
    pause: float


class ConsumerChannel:
    """One queue, one connection, one channel, run by one thread. Its messages are settled from any thread.

    It opens by itself while `take` waits. A delivery tag is valid on its own channel only, so a message is settled with
    the channel that delivered it. If that channel is closed, the message is not settled, and the broker delivers it
    again.
    """

    def __init__(self, parameters: pika.ConnectionParameters, subscription: Subscription, *, prefetch: int) -> None:
        self._subscription = subscription
        self._prefetch = prefetch
        self._waiting: deque[ReceivedMessage] = deque()
        self._redelivered = RedeliveredQueue()
        self._outcomes: deque[Outcome] = deque()
        self._acks = AckWindow()
        self._handed_out = 0
        self._ack_scheduled = False
        self._consuming = True
        self._error: BaseException | None = None
        self._channel: Any = None
        # pika's BlockingConnection passes each message through one more queue.
        self._connection = ManualConnection(
            parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._on_channel),
            on_open_error_callback=self._on_lost,
            on_close_callback=self._on_lost,
        )

    def take(self, *, timeout: float) -> list[ReceivedMessage]:
        """The messages that wait, up to a group, as soon as there is one; none after `timeout` seconds. A redelivered
        one comes alone, when it is its turn; new ones go past.

        Raises one of CONNECTION_ERRORS.
        """
        if alone := self._redelivered.take_alone():
            return self._hand_out([alone])
        group_size, seen = self._subscription.group_size, len(self._waiting)
        self._run(0 if seen else self._redelivered.shorten(timeout), until=self._has_some)
        # Several messages are often followed by more. The wait keeps no thread idle while others are worked on.
        while max(seen, 1) < len(self._waiting) < group_size:
            seen = len(self._waiting)
            self._run(GROUP_DELAY if self._handed_out else 0, until=lambda: len(self._waiting) >= group_size)
        return self._hand_out([self._waiting.popleft() for _ in range(min(group_size, len(self._waiting)))])

    def _has_some(self) -> bool:
        return bool(self._waiting) or self._redelivered.can_take()

    def _hand_out(self, messages: list[ReceivedMessage]) -> list[ReceivedMessage]:
        self._handed_out += len(messages)
        return messages

    @property
    def is_open(self) -> bool:
        """Whether messages can arrive, as far as this process can see."""
        return self._channel is not None and self._channel.is_open

    def _run(self, seconds: float, *, until: Callable[[], bool]) -> None:
        """Read, write and call back until a condition holds, or for `seconds`; once in any case."""
        deadline = time.monotonic() + seconds
        left = seconds
        while left >= 0:
            self._connection.run_once(at_most=left)
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
        message = ReceivedMessage.decode(
            body,
            headers=properties.headers,
            routing_key=method.routing_key,
            queue=self._subscription.queue,
            priority=min(properties.priority or 0, 9),
            redelivered=method.redelivered,
            tag=method.delivery_tag,
        )
        if message.redelivered:
            self._redelivered.put(message)
        else:
            self._waiting.append(message)

    def _on_lost(self, which: Any, error: BaseException | str) -> None:
        self._error = error if isinstance(error, CONNECTION_ERRORS) else ConnectionError(f"RabbitMQ: {error!r}")

    def stop_consuming(self) -> None:
        """Take no more, and give back at once the messages that were not handed out. The others can still be
        settled."""
        if not self._consuming:
            return
        self._consuming = False
        if self.is_open:
            for tag in self._channel.consumer_tags:
                self._channel.basic_cancel(tag)  # pika rejects messages that still arrive
            self._give_back([message.tag for message in (*self._redelivered, *self._waiting)])
        self._redelivered.empty()
        self._waiting.clear()

    def settle(self, group: MessageGroup, *, done: bool, pause: float = GIVE_BACK_PAUSE) -> None:
        """Acknowledge a group, or give it back after a pause in seconds. For any thread."""
        self._redelivered.settled(group.messages)
        self._outcomes.append(Outcome([message.tag for message in group.messages], done, pause))
        if self._error is not None:
            log.info("left to redelivery: its connection is gone", queue=group.queue_name, error=repr(self._error))
        self._connection.ioloop.add_callback_threadsafe(self._settle)

    def _settle(self) -> None:
        while self._outcomes:
            tags, done, pause = self._outcomes.popleft()
            self._handed_out -= len(tags)
            if done:
                self._acks.done(tags)
            elif pause:
                self._connection.ioloop.call_later(pause, lambda tags=tags: self._give_back(tags))
            else:
                self._give_back(tags)
        self._acknowledge()

    def _give_back(self, tags: Iterable[int]) -> None:
        for tag in tags:
            self._channel.basic_nack(tag, requeue=True)
        self._acks.given_back(tags)
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Acknowledge up to the first open tag, with one acknowledgement. Tags behind it are acknowledged one by one,
        and only when it stays open for ACK_DELAY, or when the prefetch window is nearly used up."""
        if tag := self._acks.advance():
            self._channel.basic_ack(tag, multiple=True)
        self._acknowledge_single(more_than=min(self._prefetch * 3 // 4, self._prefetch - 2))
        if self._acks.is_held_up and not self._ack_scheduled:
            self._ack_scheduled = True
            self._connection.ioloop.call_later(ACK_DELAY, self._stop_waiting)

    def _stop_waiting(self) -> None:
        self._ack_scheduled = False
        self._acknowledge_single()

    def _acknowledge_single(self, *, more_than: int = 0) -> None:
        for tag in self._acks.take_single(more_than=more_than):
            self._channel.basic_ack(tag)

    def close(self) -> None:
        """Settle the messages that have their outcome, and close the connection; the broker takes back the others."""
        try:
            if self.is_open:
                self._settle()
                self._acknowledge_single()
        except CONNECTION_ERRORS as error:
            log.info("left to redelivery: its connection is gone", queue=self._subscription.queue, error=repr(error))
        finally:
            self._connection.end()
