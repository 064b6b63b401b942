"""Intake: what arrived for one subscriber, and waits for the thread that takes it."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from ...inbox.message import ReceivedMessage
from ..redelivered import RedeliveredQueue
from ..share import UNLIMITED, SubscriberShare, Unlimited

if TYPE_CHECKING:
    from .channel import ConsumerChannel

#: Seconds that a few messages wait for more of their group while others are worked on.
GROUP_DELAY = 0.001


class Taken(NamedTuple):
    """Messages that were taken together, and their channel."""

    channel: ConsumerChannel | None
    messages: list[ReceivedMessage]


NOTHING = Taken(None, [])


class Taker(NamedTuple):
    """A call of `take` that waits: with its arguments the connection's thread can do its work."""

    limit: int
    share: SubscriberShare | Unlimited
    hand_out: Callable[[Taken], None] | None


class Intake:
    """The waiting messages of one subscriber, all of one channel. The connection's thread puts, another takes.

    The one that takes is woken once for all messages that arrived together, and only if it waits for more: else the
    connection's thread hands them out itself, and a message changes threads once less on its way.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._channel: ConsumerChannel | None = None
        self._waiting: deque[ReceivedMessage] = deque()
        self._redelivered = RedeliveredQueue()
        self._handed_out = 0
        #: The fresh messages that nobody had taken when their channel was lost. They come again, and RabbitMQ calls
        #: them redelivered, but this process lives, and never started them.
        self._untaken: set[tuple[uuid.UUID, int, int]] = set()
        #: Messages that `take` waits for; 0 while it does not wait.
        self._wanted = 0
        self._taker: Taker | None = None

    @property
    def channel(self) -> ConsumerChannel | None:
        """The channel that the messages come through now."""
        return self._channel

    @property
    def is_waited_for(self) -> bool:
        """Whether `take` waits for messages."""
        return self._wanted > 0

    def begin(self, channel: ConsumerChannel) -> None:
        """From now on messages come through this channel."""
        with self._changed:
            self._channel = channel
            self._handed_out = 0

    def end(self) -> list[ReceivedMessage]:
        """No more come through the present channel; returns the messages that nobody took."""
        with self._changed:
            self._channel = None
            messages = self._empty()
            self._untaken = {_key(message) for message in messages if not message.redelivered}
            return messages

    def empty(self) -> list[ReceivedMessage]:
        """Take out all that nobody took. Those that were taken can still be settled."""
        with self._changed:
            return self._empty()

    def put(self, message: ReceivedMessage) -> None:
        """Add a message; `announce` must follow."""
        with self._changed:
            if message.redelivered and (key := _key(message)) in self._untaken:
                self._untaken.remove(key)
                message = message._replace(redelivered=False)
            if message.redelivered:
                self._redelivered.put(message)
            else:
                self._waiting.append(message)

    def put_back(self, messages: Iterable[ReceivedMessage], channel: ConsumerChannel) -> bool:
        """Put messages first that were taken and not started; False if their channel is gone, or consumes no
        more."""
        with self._changed:
            if channel is not self._channel or not channel.is_consuming:
                return False
            for message in reversed(list(messages)):
                self._handed_out -= 1
                if message.redelivered:
                    self._redelivered.put(message, first=True)
                else:
                    self._waiting.appendleft(message)
            self._changed.notify_all()
            return True

    def announce(self) -> None:
        """Hand out what has arrived, or wake the thread that takes, if it waits for just that."""
        with self._changed:
            if not self._wanted or not (len(self._waiting) >= self._wanted or self._redelivered.can_take()):
                return
            taker = self._taker
            if taker is None or taker.hand_out is None or self._handed_out:
                self._changed.notify_all()
                return
            taken = self._take(taker.limit, taker.share)
            if taken and taken.messages:
                # The lock is kept: once `take` returns, no message is handed out past it.
                taker.hand_out(taken)
        if taken and not taken.messages:
            taker.share.leave()

    def wake(self) -> None:
        """Let the thread that takes look again."""
        with self._changed:
            self._changed.notify_all()

    def settled(self, count: int, channel: ConsumerChannel) -> None:
        """Messages that were taken have their outcome."""
        with self._changed:
            if channel is self._channel:
                self._handed_out -= count

    def take(
        self,
        limit: int,
        *,
        timeout: float,
        share: SubscriberShare | Unlimited = UNLIMITED,
        hand_out: Callable[[Taken], None] | None = None,
    ) -> Taken:
        """The messages that wait, up to `limit`, as soon as there is one and the subscriber may have it in hand, and
        their channel; none after `timeout` seconds. A redelivered one comes alone, when it is its turn; new ones go
        past.

        hand_out: what takes the messages that arrive while this call waits, from the connection's thread.
        """
        with self._changed:
            timeout = share.shorten(self._redelivered.shorten(timeout))
            self._taker = Taker(limit, share, hand_out)
            self._wait(1, lambda: limit and self._has_some() and share.may_enter(), timeout)
            self._taker = None
            taken = self._take(limit, share)
        if taken is None:
            return NOTHING
        if not taken.messages:
            share.leave()
        return taken

    def _take(self, limit: int, share: SubscriberShare | Unlimited) -> Taken | None:
        """What `share.enter` allows; None if it allows nothing. When it allows some and none is left, `share.leave`
        must follow, without the lock: it calls other intakes."""
        room = min(limit, share.enter()) if limit and self._has_some() else 0
        if not room:
            return None
        messages = self._up_to(room)
        self._handed_out += len(messages)
        return Taken(self._channel, messages)

    def _up_to(self, limit: int) -> list[ReceivedMessage]:
        if alone := self._redelivered.take_alone():
            return [alone]
        seen = 0
        # Several messages are often followed by more. The wait keeps no thread idle while others are worked on.
        while self._handed_out and max(seen, 1) < len(self._waiting) < limit:
            seen = len(self._waiting)
            self._wait(limit, lambda: len(self._waiting) >= limit, GROUP_DELAY)
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def _wait(self, wanted: int, reached: Callable[[], object], timeout: float) -> None:
        self._wanted = wanted
        try:
            self._changed.wait_for(reached, timeout)
        finally:
            self._wanted = 0

    def _has_some(self) -> bool:
        return bool(self._waiting) or self._redelivered.can_take()

    def _empty(self) -> list[ReceivedMessage]:
        messages = [*self._redelivered.empty(), *self._waiting]
        self._waiting.clear()
        return messages


def _key(message: ReceivedMessage) -> tuple[uuid.UUID, int, int]:
    return message.event_id, message.run, message.attempt
