"""Hand back: messages that a worker took and did not start, for the other workers, as it ends.

RabbitMQ calls a message that is given back "redelivered", as if it had ended its worker; it would then run alone. So a
copy goes to the same queue, before all others, and the original is acknowledged when the copy is confirmed. If both
should stay, the inbox turns them into one effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pika

from ...envelope import CONTENT_TYPE
from ...inbox.message import ReceivedMessage
from ...logger import get_logger
from ..contract import Outgoing
from .calls import CallChannel, Calls
from .connection import CONNECTION_ERRORS

if TYPE_CHECKING:
    from .channel import ConsumerChannel

log = get_logger("events.rabbitmq")

#: The priority of a copy at the broker: before all others, whose own priorities are 0 to 9.
FIRST_OF_ALL = 10
#: The header with the message's own priority.
PRIORITY = "airy-priority"


class HandBack:
    """Copies messages to their queue through one more channel of the consuming connection, in confirm mode."""

    def __init__(self) -> None:
        self._channel: CallChannel | None = None
        self._next = 1
        #: The number of a copy → the original.
        self._open: dict[int, tuple[ConsumerChannel, ReceivedMessage]] = {}
        #: Queues that were not there.
        self._missing: set[str] = set()

    def is_open_for(self, channel: ConsumerChannel) -> bool:
        """Whether some copies of a channel's messages are not confirmed yet."""
        return any(one is channel for one, _ in self._open.values())

    def reset(self) -> None:
        """The connection is lost: RabbitMQ delivers the originals again."""
        self._channel = None
        self._open.clear()

    def give(self, calls: Callable[[], Calls], channel: ConsumerChannel, messages: list[ReceivedMessage]) -> None:
        """Hand back messages of a channel. One that is suspected of ending its worker, or cannot be read, stays what it
        is: it is given back to the broker as it came."""
        if not channel.is_open:
            return
        plain = [message for message in messages if message.envelope is not None and not message.redelivered]
        kept = {message.tag for message in plain}
        _requeue(channel, [message for message in messages if message.tag not in kept])
        if not plain:
            return
        try:
            publisher = self._ensure_open(calls)
        except CONNECTION_ERRORS as error:
            log.warning("handed back as redelivered: no copies can be made", error=repr(error), messages=len(plain))
            _requeue(channel, plain)
            return
        for message in plain:
            self._open[self._next] = channel, message
            self._next += 1
            copy = _copy(message, channel.subscription.queue)
            publisher.raw.basic_publish(
                exchange="",
                routing_key=copy.queue,
                body=copy.body,
                properties=pika.BasicProperties(
                    content_type=CONTENT_TYPE,
                    delivery_mode=2,
                    message_id=copy.message_id,
                    priority=FIRST_OF_ALL,
                    headers={**(copy.headers or {}), PRIORITY: message.priority},
                ),
                mandatory=True,
            )

    def _ensure_open(self, calls: Callable[[], Calls]) -> CallChannel:
        if self._channel is None or not self._channel.is_open:
            channel = calls().channel()
            channel.raw.add_on_close_callback(lambda raw, error: self._fail(raw, error))
            channel.raw.add_on_return_callback(
                lambda raw, method, properties, body: self._missing.add(method.routing_key)
            )
            channel.confirm_delivery(self._on_confirm)
            self._channel, self._next = channel, 1
        return self._channel

    def _on_confirm(self, frame: Any) -> None:
        number, acked = frame.method.delivery_tag, isinstance(frame.method, pika.spec.Basic.Ack)
        numbers = [one for one in self._open if one <= number] if frame.method.multiple else [number]
        done: dict[ConsumerChannel, list[ReceivedMessage]] = {}
        for one in numbers:
            channel, message = self._open.pop(one)
            if acked and channel.subscription.queue not in self._missing:
                done.setdefault(channel, []).append(message)
            else:
                _requeue(channel, [message])
        for channel, messages in done.items():
            channel.done(messages)

    def _fail(self, raw: Any, error: BaseException) -> None:
        originals, self._open = list(self._open.values()), {}
        if originals:
            log.warning("handed back as redelivered: the copies were refused", error=repr(error))
        for channel, message in originals:
            _requeue(channel, [message])


def _copy(message: ReceivedMessage, queue: str) -> Outgoing:
    """The message for its queue. What came without a signature stays without."""
    run, attempt = message.claim or (message.run, message.attempt)
    copy = Outgoing(
        topic=message.envelope.topic if message.envelope else "",
        queue=queue,
        body=message.encoded,
        message_id=str(message.event_id),
        priority=message.priority,
        headers={"run": run, "attempt": attempt},
    )
    return copy if message.claim else copy.signed()


def _requeue(channel: ConsumerChannel, messages: Iterable[ReceivedMessage]) -> None:
    channel.give_back([message.tag for message in messages])
