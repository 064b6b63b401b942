"""Channel: one AMQP channel that consumes the queue of one subscriber, and the messages that it delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ...inbox.message import ReceivedMessage
from ...logger import get_logger
from ...subscription import Subscription
from ..contract import GIVE_BACK_PAUSE, MessageGroup
from ..redelivered import RedeliveredQueue
from .acks import AckWindow
from .deliveries import Delivered
from .hand_back import PRIORITY
from .intake import Intake
from .prefetch import PrefetchWindow

if TYPE_CHECKING:
    from .calls import CallChannel
    from .consuming import ConsumingConnection

log = get_logger("events.rabbitmq")

#: Seconds that a done message waits for an older one, so that one acknowledgement settles both.
ACK_DELAY = 0.05


class Outcome(NamedTuple):
    """What became of messages of a channel: done, or to be given back after `pause` seconds."""

    channel: ConsumerChannel
    tags: list[int]
    done: bool
    pause: float


class ConsumerChannel:
    """One life of a channel. The connection's thread runs it; its messages are settled from any thread.

    A delivery tag is valid on its own channel only, so a message is settled with the channel that delivered it. If that
    channel is closed, the message is not settled, and the broker delivers it again.
    """

    def __init__(
        self,
        connection: ConsumingConnection,
        subscription: Subscription,
        intake: Intake,
        window: PrefetchWindow,
        *,
        on_lost: Callable[[ConsumerChannel, BaseException], None],
    ) -> None:
        self._connection = connection
        self.subscription = subscription
        self._queue = subscription.queue
        self._intake = intake
        self._window = window
        self._on_lost = on_lost
        self._acks = AckWindow()
        self._ack_scheduled = False
        #: The bytes of each message that is held.
        self._sizes: dict[int, int] = {}
        self._consuming = True
        #: Tag and prefetch of each consumer at the broker, the first one first.
        self._consumers: list[tuple[str, int]] = []
        #: Consumers whose end the broker has not confirmed yet.
        self._cancelling = 0
        #: Times that messages are to be handed back as soon as the connection's thread has time.
        self.handing_back = 0
        self._channel: Any = None
        self._lost = False

    @property
    def is_open(self) -> bool:
        """Whether messages can be settled, as far as this process can see."""
        return self._channel is not None and self._channel.is_open

    @property
    def has_consumer(self) -> bool:
        """Whether the broker has a consumer of it."""
        return bool(self._consumers)

    @property
    def is_consuming(self) -> bool:
        """Whether messages still come, unless the connection is lost."""
        return self._consuming

    @property
    def holds(self) -> int:
        """The number of messages that are not settled."""
        return len(self._sizes)

    @property
    def is_stopping(self) -> bool:
        """Whether messages still arrive, or are still to be handed back, after consuming was stopped."""
        return self.is_open and (self._cancelling > 0 or self.handing_back > 0)

    def open(self, channel: CallChannel) -> None:
        """Begin to consume. Raises one of CONNECTION_ERRORS."""
        self._channel = channel.raw
        self._channel.add_on_close_callback(lambda channel, error: self._lose(error))
        self._channel.add_on_cancel_callback(
            lambda frame: self._lose(ConnectionError("RabbitMQ cancelled the consumer: its queue was deleted"))
        )
        self._intake.begin(self)
        self._channel.connection.receive(self._channel.channel_number, self._arrived)
        channel.basic_qos(prefetch_count=self._window.size)
        consuming = channel.basic_consume(self.subscription.queue, self._on_message)
        self._consumers.append((consuming.method.consumer_tag, self._window.size))

    def _on_message(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        """As pika received it."""
        headers = properties.headers or {}
        tag, routing_key = method.delivery_tag, method.routing_key
        self._arrived(Delivered(tag, method.redelivered, routing_key, headers, properties.priority, body))

    def _arrived(self, delivered: Delivered) -> None:
        priority, size = delivered.headers.get(PRIORITY), len(delivered.body)
        message = ReceivedMessage.decode(
            delivered.body,
            headers=delivered.headers,
            routing_key=delivered.routing_key,
            queue=self._queue,
            priority=min(priority if type(priority) is int and priority >= 0 else delivered.priority or 0, 9),
            redelivered=delivered.redelivered,
            tag=delivered.tag,
        )
        self._sizes[delivered.tag] = size
        self._window.arrived(size)
        self._intake.put(message)
        self._connection.touched.add(self)

    def announce(self) -> None:
        """Wake the thread that takes the messages which arrived, and change their number, if they are large."""
        self._intake.announce()
        self._resize()

    def _resize(self) -> None:
        """Change the number of messages that may be held. RabbitMQ cannot change that of a consumer, so there are
        several: one more is added, or the last is cancelled."""
        if not self._consuming or (size := self._window.next_size()) == self._window.size:
            return
        if size > self._window.size:
            more = size - self._window.size
            self._channel.basic_qos(prefetch_count=more, callback=lambda frame: None)
            tag = self._channel.basic_consume(self.subscription.queue, self._on_message, callback=lambda frame: None)
            self._consumers.append((tag, more))
            self._window.size = size
        while size < self._window.size and len(self._consumers) > 1:
            tag, fewer = self._consumers.pop()
            self._cancel(tag)
            self._window.size -= fewer

    def _cancel(self, tag: str) -> None:
        """Cancel a consumer; what is on its way to it still arrives."""

        def cancelled(frame: Any) -> None:
            self._cancelling -= 1
            self._hand_back_the_rest()

        self._cancelling += 1
        self._channel.basic_cancel(tag, callback=cancelled)
        # pika would reject what still arrives, and RabbitMQ would call it redelivered from then on.
        self._channel._cancelled.discard(tag)

    def stop_consuming(self) -> None:
        """Take no more, and hand back at once the messages that nobody took. The others can still be settled."""
        if not self._consuming:
            return
        self._consuming = False
        if self.is_open:
            while self._consumers:
                self._cancel(self._consumers.pop()[0])

    def _hand_back_the_rest(self) -> None:
        if not self._consuming and not self._cancelling:
            self._connection.hand_back(self, self._intake.empty())

    def settle(self, group: MessageGroup, *, done: bool, pause: float = GIVE_BACK_PAUSE) -> None:
        """Acknowledge a group, or give it back after a pause in seconds. For any thread."""
        self._taken_no_more(group)
        tags = [message.tag for message in group.messages]
        if self._lost:
            log.info("left to redelivery: its connection is gone", queue=group.queue_name)
        else:
            self._connection.settle(Outcome(self, tags, done, pause))

    def hand_back(self, group: MessageGroup) -> None:
        """Give messages that were not started to the other workers, as the worker ends. For any thread."""
        self._taken_no_more(group)
        self._connection.post(lambda: self._connection.hand_back(self, list(group.messages)))

    def _taken_no_more(self, group: MessageGroup) -> None:
        self._intake.settled(len(group.messages), self)
        if RedeliveredQueue.settled(group.messages):
            self._intake.wake()

    def apply(self, outcome: Outcome) -> None:
        """Settle with the broker."""
        if not self.is_open:
            return
        if outcome.done:
            self._held_no_more(outcome.tags)
            self._acks.done(outcome.tags)
            self.acknowledge()
        elif outcome.pause:
            self._connection.later(outcome.pause, lambda: self.give_back(outcome.tags))
        else:
            self.give_back(outcome.tags)

    def done(self, messages: Iterable[ReceivedMessage]) -> None:
        """Messages have their outcome elsewhere. For the connection's thread."""
        self.apply(Outcome(self, [message.tag for message in messages], done=True, pause=0))

    def give_back(self, tags: Iterable[int]) -> None:
        """Have messages delivered again; RabbitMQ will call them redelivered."""
        if not self.is_open:
            return
        tags = list(tags)
        for tag in tags:
            self._channel.basic_nack(tag, requeue=True)
        self._held_no_more(tags)
        self._acks.given_back(tags)
        self.acknowledge()

    def _held_no_more(self, tags: list[int]) -> None:
        self._window.settled(len(tags), sum(self._sizes.pop(tag, 0) for tag in tags))

    def acknowledge(self) -> None:
        """Acknowledge up to the first open tag, with one acknowledgement. Tags behind it are acknowledged one by one,
        and only when it stays open for ACK_DELAY, or when the prefetch window is nearly used up."""
        if tag := self._acks.advance():
            self._channel.basic_ack(tag, multiple=True)
        held = self._window.size
        self._acknowledge_single(more_than=min(held * 3 // 4, held - 2))
        if self._acks.is_held_up and not self._ack_scheduled:
            self._ack_scheduled = True
            self._connection.later(ACK_DELAY, self._stop_waiting)

    def _stop_waiting(self) -> None:
        self._ack_scheduled = False
        if self.is_open:
            self._acknowledge_single()

    def _acknowledge_single(self, *, more_than: int = 0) -> None:
        for tag in self._acks.take_single(more_than=more_than):
            self._channel.basic_ack(tag)

    def close(self) -> None:
        """Acknowledge what is done, and close the channel; the broker takes back the others."""
        self._consuming = False
        if self.is_open:
            self._acknowledge_single()
            self._channel.close()
        self._lose(ConnectionError("closed"), tell=False)

    def _lose(self, error: BaseException, *, tell: bool = True) -> None:
        if self._lost:
            return
        self._lost = True
        self._consuming = False
        if self._channel is not None:
            self._channel.connection.receive(self._channel.channel_number, None)
        if self._intake.channel is self:
            self._intake.end()
        if tell:
            self._on_lost(self, error)
