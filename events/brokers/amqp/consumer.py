"""Consumer: hands the messages of one queue to dramatiq's worker for as long as it runs."""

from __future__ import annotations

from collections.abc import Iterable

from dramatiq.broker import MessageProxy

from ...subscription import Subscription
from ..contract import EventBroker, EventConsumer, MessageGroup
from ..redelivered import RedeliveredQueue
from .consuming import QueueLink
from .intake import Taken


class RabbitmqConsumer(EventConsumer):
    """Hands out what has arrived for one subscriber. The connection, which all consumers of the process share, opens
    again by itself: dramatiq would wait a fixed time, and log each error with its traceback."""

    def __init__(self, broker: EventBroker, subscription: Subscription, *, link: QueueLink, timeout: float) -> None:
        super().__init__(broker, subscription)
        self._subscription = subscription
        self._link = link
        self._timeout = timeout
        self.share.on_change(link.intake.wake)

    def __next__(self) -> MessageProxy | None:
        limit = self._subscription.group_size
        if not self._may_take():
            self._link.stop()
            limit = 0
        self._link.pause(self.share.is_paused)
        put = self._broker.share.worker_queue(self._subscription.queue, self)
        taken = self._link.intake.take(
            limit, timeout=self._timeout, share=self.share, hand_out=put and (lambda taken: put(self._group(taken)))
        )
        return self._group(taken) if taken.messages else None

    def _group(self, taken: Taken) -> MessageGroup:
        return MessageGroup(taken.messages, subscription=self._subscription, origin=taken.channel)

    def is_ready(self) -> bool:
        channel = self._link.channel
        return self.share.is_paused or (channel is not None and channel.has_consumer)

    def ack(self, message: MessageGroup) -> None:  # type: ignore[override]
        message.origin.settle(message, done=True)

    def nack(self, message: MessageGroup) -> None:  # type: ignore[override]
        message.origin.settle(message, done=False)

    def requeue(self, messages: Iterable[MessageGroup]) -> None:  # type: ignore[override]
        for message in messages:
            message.origin.hand_back(message)

    def put_back(self, group: MessageGroup) -> None:
        if self._broker.stopping.is_set() or self.share.is_paused:
            group.origin.hand_back(group)
        else:
            RedeliveredQueue.settled(group.messages)
            self._link.intake.put_back(group.messages, group.origin)

    def close(self) -> None:
        self._link.close()
