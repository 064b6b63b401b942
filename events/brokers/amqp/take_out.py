"""Take out: the messages of redacted events leave a queue, all others stay.

RabbitMQ deletes no single message. So what waits is taken without an acknowledgement; what stays goes to the same queue
as a copy, and the originals are acknowledged once the copies are confirmed. Should both stay, the inbox turns them into
one effect. A message that is marked as redelivered is given back as it came: it keeps its mark.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import pika
from pika.exceptions import ChannelClosedByBroker

from ...inbox.message import ReceivedMessage
from ...signature import HEADER, is_valid, signed_headers
from .calls import CallChannel, Calls
from .hand_back import PRIORITY
from .refusals import NOT_FOUND

#: Messages that are held in one call, and their bytes, at most.
MESSAGES_PER_CALL = 20_000
BYTES_PER_CALL = 64 * 1024 * 1024
EVENT_ID = re.compile(rb'"id"\s*:\s*"([0-9a-fA-F-]{36})"')


class Waiting(NamedTuple):
    """A message that waited."""

    method: Any
    properties: Any
    body: bytes

    def is_of(self, ids: Collection[str]) -> bool:
        """Whether it is a message of one of these events, be it signed or not."""
        return any(found.decode().lower() in ids for found in EVENT_ID.findall(self.body))

    @property
    def headers(self) -> dict[str, Any]:
        return self.properties.headers or {}

    @property
    def priority(self) -> int:
        """Its own priority, which is not always that at the broker."""
        own = self.headers.get(PRIORITY)
        return min(own if type(own) is int and own >= 0 else self.properties.priority or 0, 9)

    def received(self, queue: str) -> ReceivedMessage:
        """As a worker would receive it."""
        return ReceivedMessage.decode(
            self.body,
            headers=self.headers,
            routing_key=self.method.routing_key,
            queue=queue,
            priority=self.priority,
            tag=self.method.delivery_tag,
        )

    def headers_for(self, queue: str) -> dict[str, Any]:
        """Its headers for the way to one queue. A signature that holds is made anew, any other stays wrong."""
        run, attempt = self.headers.get("run", 0), self.headers.get("attempt", 1)
        parts = {"run": run, "attempt": attempt, "priority": self.priority}
        signature = self.headers.get(HEADER)
        if signature is None or not is_valid(signature, self.body, route=self.method.routing_key, **parts):
            return self.headers
        return {**self.headers, **signed_headers(self.body, route=queue, **parts)}


def waiting_in(channel: CallChannel, queue: str) -> int | None:
    """The number of messages that wait in a queue; None if it does not exist, and then the channel is closed."""
    try:
        return int(channel.queue_declare(queue, passive=True).method.message_count)
    except ChannelClosedByBroker as error:
        if error.reply_code != NOT_FOUND:
            raise
        return None


def take_out(
    calls: Calls, queue: str, ids: Collection[uuid.UUID], *, owe: Callable[[list[ReceivedMessage]], None]
) -> bool:
    """As EventBroker.take_out. Raises one of CONNECTION_ERRORS."""
    channel = calls.channel()
    if (count := waiting_in(channel, queue)) is None:
        return True
    wanted, waiting = {str(one) for one in ids}, _get(channel, queue, count)
    stale = [one for one in waiting if one.is_of(wanted)]
    if stale:
        owe([one.received(queue) for one in stale])
    gone = {one.method.delivery_tag for one in stale}
    rest = [one for one in waiting if one.method.delivery_tag not in gone]
    copied = _copy(calls, queue, [one for one in rest if not one.method.redelivered])
    for one in waiting:
        tag = one.method.delivery_tag
        if tag in gone or tag in copied:
            channel.raw.basic_ack(tag)
        else:
            channel.raw.basic_nack(tag, requeue=True)
    channel.queue_declare(queue, passive=True)  # its answer says that all before it has arrived
    channel.close()
    return len(waiting) >= count


def _get(channel: CallChannel, queue: str, count: int) -> list[Waiting]:
    """The first messages that wait, unacknowledged."""
    waiting: list[Waiting] = []
    size = 0
    while len(waiting) < min(count, MESSAGES_PER_CALL) and size < BYTES_PER_CALL:
        got = channel.basic_get(queue)
        if got is None:
            break
        waiting.append(Waiting(*got))
        size += len(waiting[-1].body)
    return waiting


def _copy(calls: Calls, queue: str, originals: Sequence[Waiting]) -> set[int]:
    """Publish a copy of each; returns the tags of the originals whose copies the broker has for certain."""
    if not originals:
        return set()
    channel = calls.channel()
    answered: dict[int, bool] = {}
    last = 0

    def on_confirm(frame: Any) -> None:
        nonlocal last
        number, acked = frame.method.delivery_tag, isinstance(frame.method, pika.spec.Basic.Ack)
        for one in range(last + 1, number + 1) if frame.method.multiple else (number,):
            answered.setdefault(one, acked)
        last = max(last, number) if frame.method.multiple else last

    channel.confirm_delivery(on_confirm)
    for one in originals:
        properties = pika.BasicProperties(
            content_type=one.properties.content_type,
            delivery_mode=2,
            message_id=one.properties.message_id,
            priority=one.properties.priority,
            headers=one.headers_for(queue),
        )
        channel.raw.basic_publish(exchange="", routing_key=queue, body=one.body, properties=properties)
    calls.wait(lambda: len(answered) >= len(originals), what="copies", failed=lambda: channel.error)
    channel.close()
    return {one.method.delivery_tag for number, one in enumerate(originals, start=1) if answered[number]}
