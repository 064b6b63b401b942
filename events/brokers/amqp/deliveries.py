"""Deliveries: the messages among the bytes that arrive. They are read here, past pika, for which each is three frames
and a dozen callbacks: a quarter of the processor time that a worker spends on a small event.

A frame of AMQP 0-9-1 (its section 2.3.5) is a type, a channel, a size, so many bytes, and the octet 0xCE. A message is
three of them: the method Basic.Deliver, the header with the properties, and the body.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

import pika

from .properties import read_properties

METHOD, HEADER, BODY = pika.spec.FRAME_METHOD, pika.spec.FRAME_HEADER, pika.spec.FRAME_BODY
END = pika.spec.FRAME_END
DELIVER = pika.spec.Basic.Deliver.INDEX.to_bytes(4, "big")
#: Bytes of a body from which on pika reads it: it may come in several frames.
LARGE = 64 * 1024

_FRAME = Struct(">BHI")
#: The bytes around the content of a frame: what _FRAME reads, and the last octet.
_AROUND = _FRAME.size + 1
#: Delivery tag, and whether it is redelivered.
_TAG = Struct(">QB")
#: Class, weight, and bytes of the body; the properties follow.
_HEADER = Struct(">HHQ")


class Delivered(NamedTuple):
    """A message as a channel received it."""

    tag: int
    redelivered: bool
    routing_key: str
    headers: dict[str, Any]
    priority: int | None
    body: bytes


class DeliveryReader:
    """Hands each message to the receiver of its channel, and all other bytes to pika, in the order in which they came.

    A message that is empty, large, or parted in an unusual way is pika's, too: it comes to the channel's own callback.

    forward: takes the bytes that are pika's. counted: is told how many were not.
    """

    def __init__(self, forward: Callable[[bytes], None], *, counted: Callable[[int], None]) -> None:
        self._forward = forward
        self._counted = counted
        self._rest = b""
        #: By the channel's number. While there is none, all bytes are pika's.
        self.receivers: dict[int, Callable[[Delivered], None]] = {}

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        place = start = 0  # from `start` on, up to `place`, the bytes are pika's
        while self.receivers and len(data) - place >= _AROUND:
            kind, channel, size = _FRAME.unpack_from(data, place)
            after = place + size + _AROUND
            if kind == METHOD and channel in self.receivers and data.startswith(DELIVER, place + _FRAME.size):
                whole = _end_of_message(data, after, channel)
                if whole is None:
                    break
                if whole:
                    if start < place:
                        self._forward(data[start:place])
                    if receiver := self.receivers.get(channel):
                        receiver(_message(data, place, after))
                    self._counted(whole - place)
                    place = start = whole
                    continue
            if after > len(data):
                break
            place = after
        if not self.receivers:
            place = len(data)
        if start < place:
            self._forward(data[start:place])
        self._rest = data[place:]


def _end_of_message(data: bytes, header: int, channel: int) -> int | None:
    """Where a message ends whose header frame begins at `header`; None if it has not arrived wholly, 0 if it is
    pika's."""
    properties = header + _FRAME.size + _HEADER.size
    if len(data) < properties:
        return None
    kind, its_channel, size = _FRAME.unpack_from(data, header)
    _, _, length = _HEADER.unpack_from(data, header + _FRAME.size)
    if kind != HEADER or its_channel != channel or not 0 < length < LARGE:
        return 0
    body = header + size + _AROUND
    end = body + length + _AROUND
    if len(data) < end:
        return None if len(data) < body + _FRAME.size or _is_body(data, body, channel, length) else 0
    is_sound = data[header - 1] == data[body - 1] == data[end - 1] == END
    return end if is_sound and _is_body(data, body, channel, length) else 0


def _is_body(data: bytes, place: int, channel: int, length: int) -> bool:
    """Whether the whole body follows, in one frame."""
    return bool(_FRAME.unpack_from(data, place) == (BODY, channel, length))


def _message(data: bytes, method: int, header: int) -> Delivered:
    """The message whose method frame and header frame begin at these places."""
    place = method + _FRAME.size + len(DELIVER)
    place += 1 + data[place]  # the consumer's tag
    tag, redelivered = _TAG.unpack_from(data, place)
    place += _TAG.size
    place += 1 + data[place]  # the exchange
    routing_key = data[place + 1 : place + 1 + data[place]].decode(errors="replace")
    _, _, size = _FRAME.unpack_from(data, header)
    _, _, length = _HEADER.unpack_from(data, header + _FRAME.size)
    content = header + _FRAME.size
    headers, priority = read_properties(data[content + _HEADER.size : content + size])
    body = content + size + 1 + _FRAME.size
    return Delivered(tag, bool(redelivered), routing_key, headers, priority, data[body : body + length])
