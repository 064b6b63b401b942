"""The embedded broker: queues in this process, filled from the outbox. A row stays there until its delivery has an
outcome, so kill -9 loses nothing."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dramatiq.broker import MessageProxy

from ..inbox.message import ReceivedMessage
from ..subscription import Subscription
from .contract import GIVE_BACK_PAUSE, Courier, EventBroker, EventConsumer, MessageGroup
from .priority_queue import PriorityQueue
from .redelivered import RedeliveredQueue
from .share import UNLIMITED, SubscriberShare, Unlimited

if TYPE_CHECKING:
    from .hand_over_outbox import ClaimedRow

#: Seconds between two checks of a consumer that takes no more, whether the worker has ended.
STOPPING_POLL = 0.1


class Mailbox:
    """The messages of one subscriber, the urgent first, then in order; those that were given back return after a
    pause. What was not handed out yet can still be overtaken here by urgent ones.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = PriorityQueue()
        self._redelivered = RedeliveredQueue()
        #: (when it returns, message), the earliest first.
        self._paused: deque[tuple[float, ReceivedMessage]] = deque()

    def put(self, messages: Iterable[ReceivedMessage]) -> None:
        """Add messages."""
        with self._changed:
            for message in messages:
                self._queue_of(message).put(message)
            self._changed.notify_all()

    def put_first(self, messages: Iterable[ReceivedMessage]) -> None:
        """Put back messages that were not started; among those of their priority they are the next to go."""
        with self._changed:
            for message in reversed(list(messages)):
                self._queue_of(message).put(message, first=True)
            self._changed.notify_all()

    def give_back(self, messages: Iterable[ReceivedMessage]) -> None:
        """Put back messages that had no outcome, after a pause."""
        with self._changed:
            self._paused.extend((time.monotonic() + GIVE_BACK_PAUSE, message) for message in messages)

    def take(
        self, limit: int, *, timeout: float, share: SubscriberShare | Unlimited = UNLIMITED
    ) -> list[ReceivedMessage]:
        """Up to `limit` messages, as soon as there is one and the subscriber may have it in hand; none after `timeout`
        seconds. A redelivered one comes alone, when it is its turn."""
        with self._changed:
            timeout = share.shorten(self._redelivered.shorten(timeout))
            self._changed.wait_for(lambda: self._has_some() and share.may_enter(), timeout)
            room = min(limit, share.enter()) if self._has_some() else 0
            if not room:
                return []
            if alone := self._redelivered.take_alone():
                return [alone]
            taken = [self._waiting.take() for _ in range(min(room, len(self._waiting)))]
        if not taken:
            share.leave()
        return taken

    def wake(self) -> None:
        """Let `take` look again."""
        with self._changed:
            self._changed.notify_all()

    def settled(self, messages: Sequence[ReceivedMessage]) -> None:
        """Messages that were handed out together are settled or given back."""
        self._redelivered.settled(messages)
        self.wake()

    def empty(self) -> list[ReceivedMessage]:
        """Remove and return all messages that were not started."""
        with self._changed:
            return [*self._redelivered.empty(), *self._waiting.empty()]

    def size(self, *, priority: int = 0) -> int:
        """The number of messages of at least this priority that were not started. Redelivered ones do not count: new
        ones go past them."""
        with self._changed:
            waiting = [*self._waiting, *(message for _, message in self._paused)]
            return sum(message.priority >= priority for message in waiting)

    def _has_some(self) -> bool:
        while self._paused and self._paused[0][0] <= time.monotonic():
            _, message = self._paused.popleft()
            self._queue_of(message).put(message)
        return bool(self._waiting) or self._redelivered.can_take()

    def _queue_of(self, message: ReceivedMessage) -> PriorityQueue:
        return self._redelivered if message.redelivered else self._waiting


class EmbeddedBroker(EventBroker):
    """Delivers within this process. The active relay fills the mailboxes, and deletes settled rows in its next pass."""

    in_process = True

    def __init__(self, *, middleware: list[Any] | None = None) -> None:
        super().__init__(middleware=middleware)
        self.mailboxes: dict[str, Mailbox] = {}
        #: The claimed rows that are in this process's mailboxes, or run.
        self.claimed: set[ClaimedRow] = set()
        self._settled: deque[ClaimedRow] = deque()

    def subscribe(self, subscription: Subscription) -> None:
        super().subscribe(subscription)
        self.mailboxes.setdefault(subscription.queue, Mailbox())

    def courier(self, go_on: Callable[[], bool] = lambda: True) -> Courier:
        from .hand_over_outbox import EmbeddedCourier  # Django makes the broker before it has models.

        return EmbeddedCourier(self, go_on=go_on)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> EmbeddedConsumer:
        return EmbeddedConsumer(self, self.subscriptions[queue_name], timeout=timeout / 1000)

    def idle(self, queues: Iterable[str]) -> set[str]:
        """All of them: a message that waits or runs here has its row in the outbox, so none is under way."""
        return set(queues)

    def release_unstarted(self) -> None:
        from .hand_over_outbox import release_unstarted

        release_unstarted(self)

    def settle(self, row: ClaimedRow) -> None:
        """Note that the delivery of a row has its outcome."""
        self._settled.append(row)

    def has_settled(self) -> bool:
        """Whether rows were settled since the last call of `take_settled`."""
        return bool(self._settled)

    def take_settled(self, limit: int) -> list[ClaimedRow]:
        """Up to `limit` of the rows that were settled since the last call."""
        return [self._settled.popleft() for _ in range(min(limit, len(self._settled)))]


class EmbeddedConsumer(EventConsumer):
    """Takes messages from one mailbox, and settles their rows."""

    def __init__(self, broker: EmbeddedBroker, subscription: Subscription, *, timeout: float) -> None:
        super().__init__(broker, subscription)
        self._settle = broker.settle
        self._subscription = subscription
        self._mailbox = broker.mailboxes[subscription.queue]
        self._timeout = timeout
        self.share.on_change(self._mailbox.wake)

    def __next__(self) -> MessageProxy | None:
        if not self._may_take():
            time.sleep(STOPPING_POLL)
            return None
        messages = self._mailbox.take(self._subscription.group_size, timeout=self._timeout, share=self.share)
        return MessageGroup(messages, subscription=self._subscription, origin=self) if messages else None

    def ack(self, message: MessageGroup) -> None:  # type: ignore[override]
        for one in message.messages:
            self._settle(one.tag)
        self._mailbox.settled(message.messages)

    def nack(self, message: MessageGroup) -> None:  # type: ignore[override]
        # Each comes back alone and counted, so that one that never has an outcome ends as a dead letter.
        self._mailbox.give_back([one._replace(redelivered=True) for one in message.messages])
        self._mailbox.settled(message.messages)

    def requeue(self, messages: Iterable[MessageGroup]) -> None:  # type: ignore[override]
        for message in messages:
            self._mailbox.put_first(message.messages)
            self._mailbox.settled(message.messages)
