"""Intake: what arrived for one subscriber, and waits for the thread that takes it."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ...inbox.message import ReceivedMessage
from ..redelivered import RedeliveredQueue
from ..share import UNLIMITED, SubscriberShare, Unlimited

if TYPE_CHECKING:
    from .channel import ConsumerChannel

#: Seconds that a few messages wait for more of their group while others are worked on.
GROUP_DELAY = 0.001


class Intake:
    """The waiting messages of one subscriber, all of one channel. The connection's thread puts, another takes.

    The one that takes is woken once for all messages that arrived together.
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

    @property
    def channel(self) -> ConsumerChannel | None:
        """The channel that the messages come through now."""
        return self._channel

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
                if self._wanted == 1 == len(self._waiting):
                    self._changed.notify_all()  # it wakes while the connection's thread reads on

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
        """Wake the thread that takes, if what it waits for has arrived."""
        with self._changed:
            if self._wanted and (len(self._waiting) >= self._wanted or self._redelivered.can_take()):
                self._changed.notify_all()

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
        self, limit: int, *, timeout: float, share: SubscriberShare | Unlimited = UNLIMITED
    ) -> tuple[ConsumerChannel | None, list[ReceivedMessage]]:
        """The messages that wait, up to `limit`, as soon as there is one and the subscriber may have it in hand, and
        their channel; none after `timeout` seconds. A redelivered one comes alone, when it is its turn; new ones go
        past."""
        with self._changed:
            timeout = share.shorten(self._redelivered.shorten(timeout))
            self._wait(1, lambda: limit and self._has_some() and share.may_enter(), timeout)
            room = min(limit, share.enter()) if limit and self._has_some() else 0
            if not room:
                return self._channel, []
            messages = self._take(room)
            self._handed_out += len(messages)
            channel = self._channel
        if not messages:
            share.leave()
        return channel, messages

    def _take(self, limit: int) -> list[ReceivedMessage]:
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
