"""Contract: what a broker promises to dramatiq's worker, to the relay and to the operator.

A broker of your own descends from EventBroker and implements four methods:

| method    | called by            | promise                                                                     |
|-----------|----------------------|-----------------------------------------------------------------------------|
| `courier` | the active relay     | moves outbox rows to the broker; for most brokers: PublishingCourier |
| `consume` | dramatiq's worker    | an EventConsumer that hands out MessageGroups and settles them              |
| `idle`    | reconcile            | which queues are empty                                                      |
| `close`   | the end of a process | (dramatiq's) lets go of the server                                          |

A message travels with its headers and with what it was published with (`Outgoing.queue`, or else its topic): the
consumer gives both to `ReceivedMessage.decode`, which checks the signature. They must arrive as they were sent.

A consumer asks its `share` before it hands out, so that one subscriber cannot occupy all threads of a worker (see
`share.py`).

Optional: `in_process`, `claim`, `release_unstarted`, `topology`, `longest_run`, `take_out`, `look_through`, `examine`.
The conformance suite in `tests/conformance` shows whether the promises hold.
"""

from __future__ import annotations

import threading
import uuid
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from dramatiq import Message
from dramatiq.broker import Broker, Consumer, MessageProxy

from ..finding import Finding
from ..inbox.message import ReceivedMessage
from ..signature import signed_headers
from ..subscription import Subscription
from .share import SubscriberShare, ThreadShare

#: Outbox rows that a courier moves in one call, at most.
ROWS_PER_PASS = 500
#: Bytes of their events, at most; one event that is larger is moved alone. New and due rows count by themselves.
BYTES_PER_PASS = 8 * 1024 * 1024
#: Rows among them whose due time has come, at most, while new rows wait, too.
DUE_ROWS_PER_PASS = 100
#: Full groups of one subscriber that are handed out or wait in a process, at most.
GROUPS_AHEAD = 4
#: Seconds before a message that had no outcome is handed out again.
GIVE_BACK_PAUSE = 1.0
#: Milliseconds before connecting again: the first pause, the longest pause.
RECONNECT_BACKOFF = (500, 15_000)


class GivenUpError(ConnectionError):
    """A courier was told not to go on: its relay is no longer the active one, or is to stop."""


class Courier(Protocol):
    """Moves rows of the outbox to the broker. One thread uses it: the active relay's.

    seconds_until_due: from the last call of `carry` until a row is due; None if no row waits for its time.
    drained: whether the last call of `carry` left no row that could have been moved.
    """

    seconds_until_due: float | None
    drained: bool

    def carry(self) -> int:
        """Move new and due rows, ROWS_PER_PASS at most; returns the number. A row leaves the outbox only when the
        broker has it for certain."""

    def keep_alive(self) -> None:
        """Keep the connection alive while no row is moved; returns at once."""

    def close(self) -> None:
        """Let go of the broker. Rows that were not confirmed stay in the outbox."""


class Outgoing(NamedTuple):
    """One message to be published: to the queue named `queue`, or to every queue whose pattern fits `topic`."""

    topic: str
    queue: str
    body: bytes
    message_id: str
    priority: int = 0
    headers: dict[str, Any] | None = None

    def signed(self) -> Outgoing:
        """The same message with its signature, over everything that says what it is and where it goes. Headers travel
        with a message, and so does what it was published with: `queue`, or else `topic`."""
        headers = self.headers or {}
        run, attempt = headers.get("run", 0), headers.get("attempt", 1)
        route = self.queue or self.topic
        proof = signed_headers(self.body, route=route, run=run, attempt=attempt, priority=self.priority)
        return self._replace(headers={**headers, **proof})


class Answers(NamedTuple):
    """What the broker answered, each message by its `message_id`.

    | answer       | meaning                                                 | is it published?                  |
    |--------------|---------------------------------------------------------|-----------------------------------|
    | `confirmed`  | the broker has it for certain, in every queue it is for | yes                               |
    | `returned`   | no queue wants it                                       | no                                |
    | `refused`    | at least one queue did not take it                      | perhaps: other queues may have it |
    | `forbidden`  | it is not taken as things are; why, with the cure       | no                                |
    | `unanswered` | not yet; the answer may come with a later call          | perhaps                           |
    | (none)       | the connection ended before the answer                  | perhaps                           |

    error: what ended the call before its time. missing: queues of ours that do not exist and could not be made, each
    with the reason, when that was found out; then no message of the call was published.
    """

    confirmed: set[str]
    returned: set[str] = set()
    refused: set[str] = set()
    forbidden: dict[str, str] = {}
    unanswered: set[str] = set()
    error: ConnectionError | None = None
    missing: dict[str, str] = {}


def nothing() -> None:
    """No work."""


class Publisher(Protocol):
    """Publishes messages, each answered for by itself: what PublishingCourier needs of a broker."""

    def publish(self, messages: Sequence[Outgoing], *, meanwhile: Callable[[], None] = nothing) -> Answers:
        """Publish messages and wait until the broker has answered for them; returns the answers for these messages and
        those that came meanwhile for earlier ones. A message without an answer must not hold up the others for long:
        it is returned as unanswered, as long as the answer may still come.

        meanwhile: work for the time until the answers come. It need not be called, and raises nothing.

        Raises ConnectionError if nothing was published.
        """

    def keep_alive(self) -> None:
        """Keep the connection alive; returns at once."""

    def close(self) -> None:
        """Close the connection; no answers come any more. The next `publish` opens it again, and declares all queues
        before."""


class TopologyError(RuntimeError):
    """The server's queues are not as this code needs them, or it does not answer; the message says what to do."""


class ClaimError(ConnectionError):
    """The broker has the queues or events of another installation; the message says what to do."""


class QueueSize(NamedTuple):
    """Messages that wait in a queue, and its consumers. What only some servers tell is None where it is not told:
    messages that workers hold, and rates per second."""

    messages: int
    consumers: int
    unacknowledged: int | None = None
    published_per_second: float | None = None
    acknowledged_per_second: float | None = None


class Topology(Protocol):
    """The queues and bindings that a server keeps, for an operator. Every method raises TopologyError."""

    @property
    def title(self) -> str:
        """Where the queues are, in one line."""

    @property
    def exchange(self) -> str:
        """The name of what events are published to."""

    def describe(self) -> dict[str, Any]:
        """The same as `title`, as plain values for JSON."""

    def declare(self, subscriptions: Sequence[Subscription]) -> None:
        """Make the queue of each subscription and its bindings, unless they exist."""

    def sizes(self, queues: Iterable[str]) -> dict[str, QueueSize | None]:
        """The size of each queue; None for a queue that does not exist."""

    def unbind(self, queue: str, patterns: Iterable[str]) -> None:
        """Remove bindings of a queue."""

    def adopt(self, installation: uuid.UUID) -> None:
        """Mark the server as this installation's, whoever left a mark before."""

    def delete(self, queue: str, *, force: bool) -> None:
        """Delete a queue that has no consumers and, without `force`, no messages."""


class EventBroker(Broker):
    """A dramatiq broker that delivers events at least once. A message belongs to the consumer that handed it out."""

    #: Whether messages never leave this process. Then the outbox row lives until its delivery has an outcome, and a
    #: process that is only a relay is of no use.
    in_process = False
    #: Milliseconds that a consumer may hold a message before the server delivers it again; None: without limit.
    longest_run: int | None = None
    #: The product, by its name in OpenTelemetry's conventions.
    messaging_system = "airy"
    #: The queues at the server; None: there is no server.
    topology: Topology | None = None

    def __init__(self, *, middleware: list[Any] | None = None) -> None:
        #: Which subscriber may occupy how many threads. First among the middleware: it is told last what a thread has
        #: ended.
        self.share = ThreadShare()
        super().__init__(middleware=[self.share, *(middleware or [])])
        self.queues: dict[str, None] = {}
        self.subscriptions: dict[str, Subscription] = {}
        #: Set while the worker ends: consumers hand out no more.
        self.stopping = threading.Event()

    def subscribe(self, subscription: Subscription) -> None:
        """Remember which subscription a queue belongs to."""
        self.subscriptions[subscription.queue] = subscription

    def declare_queue(self, queue_name: str) -> None:
        """Take up the queue of a subscriber; other queues are ignored. The server's queue is made when a worker
        consumes or the relay publishes."""
        if queue_name in self.subscriptions and queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Refused: work reaches subscribers as events, through the outbox. Raises NotImplementedError."""
        raise NotImplementedError(
            f"{message.actor_name}.send() is not supported: this broker delivers only events. Use emit()"
        )

    @abstractmethod
    def courier(self, go_on: Callable[[], bool] = lambda: True) -> Courier:
        """A new courier. It calls `go_on` before each publish, and about once a second while the broker keeps it
        waiting; when the answer is False it gives up, with any ConnectionError. The relay renews its lease in that
        call, so a courier that never calls it may hold a pass for 3 seconds at most."""

    @abstractmethod
    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> EventConsumer:
        """A new consumer of a queue. timeout: milliseconds that one call of its `__next__` waits for messages."""

    @abstractmethod
    def idle(self, queues: Iterable[str]) -> set[str]:
        """The queues in which no message waits now. A message that a worker holds need not count. Raises
        ConnectionError when the broker does not answer."""

    def take_out(self, queue: str, ids: Collection[uuid.UUID], *, owe: Callable[[list[ReceivedMessage]], None]) -> bool:
        """Take the messages of these events out of a queue at the server: their bytes are to be erased. All others stay
        in it; what a worker holds is left alone.

        owe: called with those that were found, before they are gone; what it raises leaves them there.

        Returns whether the queue was looked through to its end; False: some is left for the next call. Raises
        ConnectionError. A broker without it keeps the bytes until a worker takes them.
        """
        return True

    def look_through(self, queue: str, *, see: Callable[[ReceivedMessage, str], None]) -> int:
        """See every message that waits in a queue at the server; they stay. Returns their number.

        see: called with each message and the routing key that it was published with.

        Raises ConnectionError. A broker without it has nothing to see.
        """
        return 0

    def claim(self, installation: uuid.UUID) -> None:
        """Called at the start of relay and workers: remember the installation, and leave its mark at the server.

        Raises ClaimError if another installation has left one. A server that does not answer is asked again before
        anything is consumed or published.
        """

    def examine(self) -> Iterable[Finding]:
        """What is wrong at the server, for `manage.py doctor`. It asks once, and ends, whatever does not answer."""
        return ()

    def release_unstarted(self) -> None:
        """Called when no thread works any more: mark messages that were handed out and not started, so that the next
        worker does not take them for what killed this one."""


class EventConsumer(Consumer):
    """A consumer that hands out no more once its worker ends, and no more than its subscriber may have in hand.

    Before it hands out a group it calls `self.share.enter()`, which returns how many messages that may be.
    """

    def __init__(self, broker: EventBroker, subscription: Subscription) -> None:
        self._broker = broker
        #: What the subscriber may have in hand now.
        self.share: SubscriberShare = broker.share.of(subscription)
        #: Set once it takes no more, and everything that it took was handed out.
        self.stopped = threading.Event()

    def _may_take(self) -> bool:
        if self._broker.stopping.is_set():
            self.stopped.set()
        return not self.stopped.is_set()

    def is_ready(self) -> bool:
        """Whether messages would come now."""
        return True

    def put_back(self, group: MessageGroup) -> None:
        """Take back messages that were handed out and that no thread has started: they are the next to go. They cost no
        attempt, and are not suspected of anything."""
        self.requeue([group])


class MessageGroup(MessageProxy):
    """Received messages for one subscriber, as one message of dramatiq's worker. They are settled together."""

    def __init__(self, messages: Sequence[ReceivedMessage], *, subscription: Subscription, origin: Any) -> None:
        super().__init__(
            Message(
                queue_name=subscription.queue,
                actor_name=subscription.name,
                args=tuple(messages),
                kwargs={},
                options={},
                message_id=str(uuid.uuid4()),
            )
        )
        self.messages = messages
        self._subscription = subscription
        #: What handed them out, and settles them.
        self.origin = origin

    def part(self, messages: Sequence[ReceivedMessage]) -> MessageGroup:
        """Take these messages out of the group; returns a group of them."""
        parted = {id(one) for one in messages}
        self.messages = [one for one in self.messages if id(one) not in parted]
        return MessageGroup(messages, subscription=self._subscription, origin=self.origin)
