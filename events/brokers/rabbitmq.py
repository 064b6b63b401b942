"""RabbitMQ: a topic exchange, one durable queue per subscriber, consumers that group what waits and acknowledge by
watermark."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import pika
import structlog
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed
from pika.exceptions import AMQPError, ChannelClosedByBroker

from events.arrival import Arrival
from events.brokers.contract import ArrivalMessage, EventBroker
from events.subscription import Subscription

log = structlog.get_logger("events.rabbitmq")

#: Levels of priority a classic queue keeps apart.
MAX_PRIORITY = 10
#: How long a message that was given back waits before it returns to its queue, in seconds.
PAUSE = 1.0
#: Full groups that may be under way or waiting per queue and process.
GROUPS_AHEAD = 4

NOT_FOUND, PRECONDITION_FAILED = 404, 406

LOST = (AMQPError, AssertionError, OSError)


class RabbitmqBroker(EventBroker):
    """Delivers through RabbitMQ. Durable exchange, queues and messages; nothing expires by itself."""

    def __init__(
        self,
        *,
        host: str = "localhost",
        port: int = 5672,
        user: str = "guest",
        password: str = "guest",
        vhost: str = "/",
        exchange: str = "airy.events",
        queue_type: str = "classic",
        heartbeat: int = 30,
        middleware: list[Any] | None = None,
    ) -> None:
        super().__init__(middleware=middleware)
        self.exchange = exchange
        self.queue_type = queue_type
        self.parameters = pika.ConnectionParameters(
            host=host,
            port=port,
            virtual_host=vhost,
            credentials=pika.PlainCredentials(user, password),
            heartbeat=heartbeat,
            blocked_connection_timeout=None,
            socket_timeout=5,
            stack_timeout=10,
            client_properties={"connection_name": "airy"},
        )

    @property
    def queue_arguments(self) -> dict[str, Any]:
        """The arguments every queue is declared with. Quorum queues know no priorities before RabbitMQ 4.3."""
        return {"x-queue-type": "quorum"} if self.queue_type == "quorum" else {"x-max-priority": MAX_PRIORITY}

    def idle(self, queues: Iterable[str]) -> set[str]:
        """The queues without a ready message, and those that are not there. What a worker has taken and not
        acknowledged is not counted: AMQP does not tell."""
        try:
            with pika.BlockingConnection(self.parameters) as connection:
                return {queue for queue in queues if not _ready(connection, queue)}
        except LOST as error:
            raise ConnectionError(f"RabbitMQ at {self.parameters.host}: {error!r}") from error

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> RabbitmqConsumer:
        try:
            return RabbitmqConsumer(self, self.subscriptions[queue_name], prefetch=prefetch, timeout=timeout / 1000)
        except MismatchError as error:
            log.error("cannot consume", queue=queue_name, error=str(error))
            raise ConnectionClosed(error) from None
        except LOST as error:
            raise ConnectionClosed(error) from None


class RabbitmqConsumer(Consumer):
    """One queue, one connection, one thread; settled from any thread.

    A delivery tag means something on its own channel alone: a message of an earlier connection is settled by nobody,
    and the broker delivers it again.
    """

    def __init__(self, broker: RabbitmqBroker, subscription: Subscription, *, prefetch: int, timeout: float) -> None:
        self._subscription = subscription
        self._connection = pika.BlockingConnection(broker.parameters)
        try:
            self._channel = declare(self._connection.channel(), broker, [subscription])
        except MismatchError:
            self._connection.close()
            raise
        self._prefetch = max(prefetch, GROUPS_AHEAD * subscription.together)
        self._channel.basic_qos(prefetch_count=self._prefetch)
        self._incoming = self._channel.consume(subscription.queue, inactivity_timeout=timeout)
        self._held: Arrival | None = None
        self._outcomes: deque[tuple[ArrivalMessage, bool]] = deque()
        self._lowest_open = 1  # tags count from 1 on each channel
        self._done: set[int] = set()  # not yet acknowledged
        self._gone: set[int] = set()  # settled with the broker out of order

    def __next__(self) -> MessageProxy | None:
        try:
            arrivals = self._take()
        except (*LOST, StopIteration) as error:
            raise ConnectionClosed(error) from None
        return ArrivalMessage(arrivals, subscription=self._subscription, consumer=self) if arrivals else None

    def _take(self) -> Sequence[Arrival]:
        first, self._held = self._held or self._next(), None
        if first is None:
            return ()
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

    def ack(self, message: ArrivalMessage) -> None:  # type: ignore[override]
        self._settle_soon(message, done=True)

    def nack(self, message: ArrivalMessage) -> None:  # type: ignore[override]
        self._settle_soon(message, done=False)

    def _settle_soon(self, message: ArrivalMessage, *, done: bool) -> None:
        if message.consumer is not self:
            log.info("left to redelivery: its connection is gone", queue=message.queue_name)
            return
        self._outcomes.append((message, done))
        try:
            self._connection.add_callback_threadsafe(self._settle)
        except AMQPError as error:
            log.info("left to redelivery: the connection broke", queue=message.queue_name, error=repr(error))

    def _settle(self) -> None:
        while self._outcomes:
            message, done = self._outcomes.popleft()
            tags = [arrival.tag for arrival in message.arrivals]
            if done:
                self._done.update(tags)
            else:
                self._connection.call_later(PAUSE, lambda tags=tags: self._give_back(tags))
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Acknowledge up to the first open tag at once; past a slow one, tag by tag, lest it hold up the rest."""
        last_done = 0
        while (tag := self._lowest_open) in self._done or tag in self._gone:
            if tag in self._done:
                self._done.remove(tag)
                last_done = tag
            self._gone.discard(tag)
            self._lowest_open += 1
        if last_done:
            self._channel.basic_ack(last_done, multiple=True)
        if len(self._done) * 2 > self._prefetch:
            for tag in self._done:
                self._channel.basic_ack(tag)
            self._gone |= self._done
            self._done = set()

    def _give_back(self, tags: Sequence[int]) -> None:
        for tag in tags:
            self._channel.basic_nack(tag, requeue=True)
        self._gone.update(tags)
        self._acknowledge()

    def close(self) -> None:
        try:
            self._settle()
            for tag in self._done:
                self._channel.basic_ack(tag)
            self._connection.close()
        except LOST as error:
            raise ConnectionClosed(error) from None


def _ready(connection: pika.BlockingConnection, queue: str) -> int:
    """How many messages wait in a queue."""
    channel = connection.channel()
    try:
        count: int = channel.queue_declare(queue, passive=True).method.message_count
    except ChannelClosedByBroker as error:
        if error.reply_code != NOT_FOUND:
            raise
        return 0
    channel.close()
    return count


def _counted(headers: dict[str, Any], name: str, default: int) -> int:
    """A number the relay put into the headers; what another publisher put there is no matter of ours."""
    value = headers.get(name)
    return value if isinstance(value, int) and default <= value < 2**15 else default


class MismatchError(ConnectionError):
    """A queue stands at the broker with arguments other than this code's; the message says what to do."""


def declare(channel: Any, broker: RabbitmqBroker, subscriptions: Sequence[Subscription]) -> Any:
    """Make the exchange, and a bound queue for each subscriber, unless they are there; returns the channel to go on
    with.

    Raises MismatchError for a queue that was made with other arguments.
    """
    channel.exchange_declare(broker.exchange, exchange_type="topic", durable=True)
    for subscription in subscriptions:
        channel = _declare_queue(channel, broker, subscription.queue)
        for pattern in subscription.patterns:
            channel.queue_bind(subscription.queue, broker.exchange, pattern)
    return channel


def _declare_queue(channel: Any, broker: RabbitmqBroker, queue: str) -> Any:
    """Make a queue; returns the channel to go on with."""
    arguments = dict(broker.queue_arguments)
    if broker.queue_type == "quorum" and _drops_redelivered(channel):
        arguments["x-delivery-limit"] = -1
    try:
        channel.queue_declare(queue, durable=True, arguments=arguments)
    except ChannelClosedByBroker as error:
        if error.reply_code != PRECONDITION_FAILED:
            raise
        if "x-delivery-limit" in error.reply_text:
            # Made by a server that knew no default limit, or with a limit on purpose.
            log.warning(
                "quorum queue with a delivery limit: set a policy delivery-limit -1, or what it drops is healed later",
                queue=queue,
            )
            return channel.connection.channel()
        raise MismatchError(
            f"RabbitMQ has the queue {queue} with other arguments than MQ_QUEUE_TYPE={broker.queue_type} asks for "
            f"({error.reply_text}). The arguments of a queue cannot be changed: set MQ_QUEUE_TYPE back; or stop the "
            f"relay, let the workers drain the queue and delete it (rabbitmqctl delete_queue {queue}); or choose "
            "another MQ_QUEUE_PREFIX, which makes new queues, and take the old ones away with manage.py topology unbind"
        ) from None
    return channel


def _drops_redelivered(channel: Any) -> bool:
    """Whether the server drops what a quorum queue redelivered 20 times, unless told not to: RabbitMQ from 4.0 on.

    Before, it has no limit, and takes -1 for 0.
    """
    version = str((channel.connection._impl.server_properties or {}).get("version", ""))
    major = version.split(".")[0]
    return major.isdecimal() and int(major) >= 4
