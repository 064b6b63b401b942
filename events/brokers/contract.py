"""EventBroker: what every broker of ours promises to dramatiq's worker and to the relay."""

from __future__ import annotations

import threading
import uuid
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from dramatiq import Message
from dramatiq.broker import Broker, Consumer, MessageProxy

from ..inbox.message import Arrival
from ..subscription import Subscription


class Courier(Protocol):
    """Carries rows of the outbox to the broker. Used by one thread, the active relay's.

    until_due: seconds from the last call of carry until a row is due; None if none waits.
    drained: whether the last call of carry left nothing that could have gone, too.
    """

    until_due: float | None
    drained: bool

    def carry(self) -> int:
        """Move what is due, a bounded number of rows; returns how many moved. A row leaves the outbox only when it is
        safe."""

    def keep_alive(self) -> None:
        """Keep the connection alive while nothing is due; returns at once."""

    def close(self) -> None:
        """Let go of the broker; what was not confirmed stays in the outbox."""


class EventBroker(Broker):
    """A dramatiq broker that delivers events. At least once; a message belongs to the consumer that handed it out."""

    def __init__(self, *, middleware: list[Any] | None = None) -> None:
        super().__init__(middleware=middleware or [])
        self.queues: dict[str, None] = {}
        self.subscriptions: dict[str, Subscription] = {}
        #: Set while the worker ends: consumers take no more.
        self.stopping = threading.Event()

    def subscribe(self, subscription: Subscription) -> None:
        """Know whom a queue is for."""
        self.subscriptions[subscription.queue] = subscription

    def declare_queue(self, queue_name: str) -> None:
        """Take up a subscriber's queue; what the server needs is made when someone consumes or publishes. Others get
        none."""
        if queue_name in self.subscriptions and queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message, *, delay: int | None = None) -> Message:
        """Refused: work reaches subscribers as events, through the outbox."""
        raise NotImplementedError(
            f"{message.actor_name}.send() is not supported: this broker delivers only events. Use emit()"
        )

    @abstractmethod
    def idle(self, queues: Iterable[str]) -> set[str]:
        """Those of some queues in which nothing waits now; what is being worked on need not count. Raises
        ConnectionError when the broker does not answer."""

    @abstractmethod
    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> EventConsumer:
        """A new consumer of a queue."""


class EventConsumer(Consumer):
    """A consumer that takes no more once its worker ends."""

    def __init__(self, broker: EventBroker) -> None:
        self._broker = broker
        #: Set once it takes no more: all that it took has been handed over.
        self.stopped = threading.Event()

    def _may_take(self) -> bool:
        if self._broker.stopping.is_set():
            self.stopped.set()
        return not self.stopped.is_set()


class ArrivalMessage(MessageProxy):
    """Arrivals for one subscriber, as dramatiq's worker passes them around; they are settled together."""

    def __init__(self, arrivals: Sequence[Arrival], *, subscription: Subscription, origin: Any) -> None:
        super().__init__(
            Message(
                queue_name=subscription.queue,
                actor_name=subscription.name,
                args=tuple(arrivals),
                kwargs={},
                options={},
                message_id=str(uuid.uuid4()),
            )
        )
        self.arrivals = arrivals
        #: Who delivered them and is to be told the outcome.
        self.origin = origin
