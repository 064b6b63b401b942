"""Publisher: many messages to RabbitMQ at once, each confirmed, through pika's asynchronous connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import pika
from pika.exceptions import ChannelClosedByBroker, ChannelClosedByClient

from ...logger import get_logger
from ..contract import Answers, GivenUpError, Outgoing, nothing
from ..relayed import reached
from .calls import Calls
from .connection import CONNECTION_ERRORS, ManualConnection
from .declare import declare
from .limits import Limits, Right, exchange_of, key_of
from .properties import OutgoingProperties
from .refusals import NOT_FOUND, MismatchError, MissingError, in_words

if TYPE_CHECKING:
    from ..rabbitmq import RabbitmqBroker

log = get_logger("events.relay")

#: Seconds between two calls of `go_on` while the broker keeps the publisher waiting.
GO_ON_INTERVAL = 1.0
#: Seconds without any answer after which a batch is returned, its messages still open; and while others are open
#: already, so that a queue that answers for nothing does not hold up every batch.
PATIENCE, PATIENCE_WHILE_OPEN = 2.0, 0.2
#: Bytes from which on a message is published alone, in its turn: one that is too large for the server ends the
#: channel, and with it the answers for all others.
LARGE = 256 * 1024


class PublishError(ConnectionError):
    """The broker cannot be reached, is blocked, or has ended the connection."""


class RabbitmqPublisher:
    """One connection in confirm mode, run by the calling thread. It opens when it is needed.

    timeout: seconds that the broker may take to open a connection. A broker that reports itself as blocked (short of
    memory or disk) has no time limit, since what was sent to it is not lost; meanwhile `go_on` is called every second,
    and the wait ends when the answer is False.
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
        #: The channel that is used, once it is open; and the last one that was asked for.
        self._channel: Any = None
        self._newest_channel: Any = None
        self._error: BaseException | str | None = None
        #: Why the server closed the channel alone, because of one message.
        self._channel_error: ChannelClosedByBroker | None = None
        self._next_tag = 1
        #: The messages without an answer: delivery tag → message id, in the order of publishing.
        self._open: dict[int, str] = {}
        self._answered_at = 0.0
        self._confirmed: set[str] = set()
        self._refused: set[str] = set()
        self._returned: set[str] = set()
        self._forbidden: dict[str, str] = {}
        self._limits = Limits(broker)
        #: Queues that could not be made, and why, until that is told.
        self._missing: dict[str, str] = {}

    def publish(self, messages: Sequence[Outgoing], *, meanwhile: Callable[[], None] = nothing) -> Answers:
        """Publish messages and wait for their answers, for as long as some arrive.

        Raises PublishError if the broker cannot be reached or takes nothing, GivenUpError if told so: then nothing was
        published.
        """
        self._ensure_open()
        self._run_until(lambda: not self.blocked, what="room")
        if not self._go_on():
            raise GivenUpError("told not to go on")
        if missing := self._missing:
            self._missing = {}
            return Answers(confirmed=set(), missing=missing)
        error: ConnectionError | None = None
        try:
            self._publish(messages, meanwhile)
        except (PublishError, GivenUpError) as lost:
            error = lost
        if self._refused and not self._open and self.connected:
            # A channel remembers that a queue refuses; from quorum queues it does not always learn that this is over.
            channel, self._channel = self._channel, None
            channel.close()
        confirmed, refused, forbidden = self._confirmed, self._refused, self._forbidden
        self._confirmed, self._refused, self._forbidden = set(), set(), {}
        returned = self._returned & confirmed  # each of them is confirmed, too, later
        self._returned -= returned
        return Answers(
            confirmed=confirmed - returned,
            returned=returned,
            refused=refused,
            forbidden=forbidden,
            unanswered=set(self._open.values()),
            error=error,
        )

    @property
    def connected(self) -> bool:
        """Whether the connection is open, as far as this process can see."""
        return self._channel is not None and self._channel.is_open

    def keep_alive(self) -> None:
        """Answer heartbeats, without waiting."""
        if self._connection is not None and self._connection.is_open:
            self._connection.run_once(at_most=0)

    def close(self) -> None:
        """Close the connection, if there is one. What has no answer may have been published or not."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.end()
        self._open.clear()

    def _publish(self, messages: Sequence[Outgoing], meanwhile: Callable[[], None]) -> None:
        assert self._connection is not None
        if self._open:
            self._connection.run_once(at_most=0)  # answers for earlier messages
        held: list[Outgoing] = []
        for part, is_last in _parts(messages):
            large = {one.message_id: why for one in part if (why := self._limits.too_large(one))}
            self._forbidden |= large
            held += (one for one in part if self._limits.right_missing(one))
            part = [one for one in part if one.message_id not in large and not self._limits.right_missing(one)]
            if not part or self._settled(part, meanwhile if is_last else nothing):
                continue
            # One of them has ended the channel. Which one is found by publishing each alone.
            for message in part:
                if not self._is_answered(message):
                    if self._limits.right_missing(message):
                        held.append(message)
                    else:
                        self._publish_alone(message)
        tried: set[Right] = set()
        for message in held:
            missing = self._limits.right_missing(message)
            if missing in tried:
                self._forbidden[message.message_id] = self._limits.rights[missing]
            else:
                tried |= {missing} if missing else set()
                self._publish_alone(message)

    def _publish_alone(self, message: Outgoing) -> None:
        if self._settled([message]):
            self._limits.taken(message)
            return
        assert self._channel_error is not None
        why = self._limits.learn(message, self._channel_error)
        self._forbidden[message.message_id] = why
        log.error("RabbitMQ does not take an event", reason=why, bytes=len(message.body))

    def _settled(self, messages: Sequence[Outgoing], meanwhile: Callable[[], None] = nothing) -> bool:
        """Publish messages and wait; False if the server has closed the channel because of one of them."""
        assert self._connection is not None
        self._ensure_channel()
        patience = PATIENCE_WHILE_OPEN if self._open else PATIENCE
        first = self._next_tag
        self._send(messages)
        self._connection.run_once(at_most=0)
        meanwhile()
        self._run_while_answered(first, patience)
        return self._channel_error is None

    def _send(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            self._open[self._next_tag] = message.message_id
            self._next_tag += 1
            self._channel.basic_publish(
                exchange=exchange_of(message, self._broker),
                routing_key=key_of(message),
                body=message.body,
                properties=OutgoingProperties(message),
                mandatory=True,
            )

    def _is_answered(self, message: Outgoing) -> bool:
        one = message.message_id
        return one in self._confirmed or one in self._refused

    def _ensure_open(self) -> None:
        if self.connected:
            return
        if self._connection is None or not self._connection.is_open or self._error is not None:
            self._connect()
        self._ensure_channel()

    def _connect(self) -> None:
        self.close()
        self._error = self._channel_error = None
        self.blocked = ""
        self._limits = Limits(self._broker)
        self._connection = ManualConnection(
            self._broker.parameters_for("relay"),
            on_open_error_callback=lambda connection, error: self._fail(error),
            on_close_callback=lambda connection, error: self._fail(error),
        )
        connection = self._connection
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        self._run_until(lambda: connection.is_open, what="a connection")
        reached("relay", True)
        self._missing = {}
        self._declare_everything(connection)

    def _ensure_channel(self) -> None:
        if self.connected:
            return
        assert self._connection is not None
        if not self._connection.is_open:
            self._give_up(self._error or "connection closed")
        self._channel, self._channel_error = None, None
        self._open.clear()
        self._newest_channel = self._connection.channel(on_open_callback=self._on_channel)
        self._run_until(lambda: self._channel is not None, what="a channel")

    def _declare_everything(self, connection: ManualConnection) -> None:
        """Declare all queues before the first message is published: a message that finds no queue then has no
        subscriber. What stands in the way of one queue is no reason to publish to none."""
        calls = Calls(connection, timeout=self._timeout, go_on=self._go_on)
        try:
            self._broker.mark(calls)
            channel = declare(calls.channel(), self._broker, [])
            for subscription in self._broker.subscriptions.values():
                try:
                    channel = declare(channel, self._broker, [subscription])
                except MissingError as error:
                    self._missing[subscription.queue] = str(error)
                    channel = calls.channel()
                except MismatchError as error:
                    log.error("a queue has other arguments; events are published to it", reason=str(error))
                    channel = calls.channel()
            channel.close()
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
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(
            lambda channel, method, properties, body: self._returned.add(properties.message_id)
        )
        channel.confirm_delivery(self._on_confirm, callback=lambda frame: self._on_ready(channel))

    def _on_ready(self, channel: Any) -> None:
        self._channel = channel

    def _on_channel_closed(self, channel: Any, error: BaseException) -> None:
        if channel is not self._newest_channel or isinstance(error, ChannelClosedByClient):
            return  # it was given up before
        about_one_message = isinstance(error, ChannelClosedByBroker) and error.reply_code != NOT_FOUND
        if about_one_message and channel is self._channel:
            self._channel_error = error
        else:
            self._fail(error)

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        answers = self._confirmed if isinstance(method, pika.spec.Basic.Ack) else self._refused
        if method.multiple:
            for tag in [tag for tag in self._open if tag <= method.delivery_tag]:
                answers.add(self._open.pop(tag))
        elif (message_id := self._open.pop(method.delivery_tag, None)) is not None:
            answers.add(message_id)
        self._answered_at = time.monotonic()

    def _on_blocked(self, connection: Any, frame: Any) -> None:
        self.blocked = str(frame.method.reason) or "blocked"
        log.warning("RabbitMQ is blocked: events wait in the outbox", reason=self.blocked)

    def _on_unblocked(self, connection: Any, frame: Any) -> None:
        self.blocked = ""
        log.info("RabbitMQ takes events again")

    def _fail(self, error: BaseException) -> None:
        self._error = error

    def _run_while_answered(self, first: int, patience: float) -> None:
        """Run the connection until every message from the tag `first` on has its answer, no answer has arrived for
        `patience` seconds, or the server has closed the channel. Raises PublishError when the connection fails."""
        self._answered_at = time.monotonic()

        def waiting() -> bool:
            if self._channel_error is not None or next(reversed(self._open), 0) < first:
                return False
            if self.blocked:
                self._answered_at = time.monotonic()
            return time.monotonic() - self._answered_at < patience

        self._run(waiting, at_most=min(patience, GO_ON_INTERVAL))

    def _run_until(self, reached: Callable[[], bool], *, what: str) -> None:
        """Run the connection until a condition holds. Raises PublishError when it fails or time is up."""
        deadline = time.monotonic() + self._timeout

        def waiting() -> bool:
            nonlocal deadline
            if reached():
                return False
            if self.blocked:
                deadline = time.monotonic() + self._timeout
            if time.monotonic() >= deadline or self._channel_error is not None:
                self._error = self._error or self._channel_error or f"no {what} within {self._timeout} s"
            return True

        self._run(waiting, at_most=GO_ON_INTERVAL)

    def _run(self, waiting: Callable[[], bool], *, at_most: float) -> None:
        assert self._connection is not None
        asked = time.monotonic()
        while waiting():
            if self._error is None and time.monotonic() >= asked + GO_ON_INTERVAL:
                asked = time.monotonic()
                if not self._go_on():
                    self._error = GivenUpError("told not to go on")
            if self._error is not None:
                self._give_up(self._error)
            self._connection.run_once(at_most=at_most)

    def _give_up(self, error: BaseException | str) -> NoReturn:
        self.close()
        if isinstance(error, GivenUpError):
            raise error
        reached("relay", False)
        raise PublishError(in_words(error, self._broker.parameters))


def _parts(messages: Sequence[Outgoing]) -> Iterator[tuple[list[Outgoing], bool]]:
    """The messages in their order, and whether these are the last ones; a large one is a part by itself."""
    first = 0
    for place, message in enumerate(messages, start=1):
        is_last = place == len(messages)
        if is_last or len(message.body) >= LARGE or len(messages[place].body) >= LARGE:
            yield list(messages[first:place]), is_last
            first = place
