"""Deliveries: what is read past pika is what pika would have read, in whatever pieces the bytes arrive."""

from __future__ import annotations

import random
from typing import Any

import pika
import pytest
from pika import frame, spec

from events.brokers.amqp.deliveries import LARGE, Delivered, DeliveryReader

#: Channels with a receiver, and one without.
OURS, PIKAS = (1, 2), 3
CONTENT_TYPE = "application/cloudevents+json"
HEARTBEAT = frame.Heartbeat().marshal()


def message(delivered: Delivered, channel: int, *, part: int = 131_000, between: bytes = b"") -> bytes:
    """The bytes of a message, as pika writes them. part: bytes of each body frame. between: before the header."""
    method = spec.Basic.Deliver("ctag1.é", delivered.tag, delivered.redelivered, "airy", delivered.routing_key)
    properties = pika.BasicProperties(
        content_type=CONTENT_TYPE,
        delivery_mode=2,
        message_id=str(delivered.tag),
        priority=delivered.priority,
        headers=delivered.headers,
    )
    body = delivered.body
    frames = [
        frame.Method(channel, method).marshal() + between,
        frame.Header(channel, len(body), properties).marshal(),
        *(frame.Body(channel, body[start : start + part]).marshal() for start in range(0, len(body), part)),
    ]
    return b"".join(frames)


def delivered(tag: int, body: bytes, **changes: Any) -> Delivered:
    headers = {"run": 0, "attempt": 1, "airy-signature": "v1:0:abc"}
    return Delivered(tag, False, "post.published", headers, 0, body)._replace(**changes)


class Stream:
    """A reader, and what comes out of it, in order: messages, and the bytes that are pika's."""

    def __init__(self) -> None:
        self.out: list[Any] = []
        self.counted = 0
        self.reader = DeliveryReader(self._forward, counted=self._count)
        for channel in OURS:
            self.reader.receivers[channel] = self.out.append

    def _forward(self, data: bytes) -> None:
        if self.out and isinstance(self.out[-1], bytes):
            self.out[-1] += data
        else:
            self.out.append(data)

    def _count(self, received: int) -> None:
        self.counted += received

    def feed(self, data: bytes, *, cuts: list[int]) -> None:
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            self.reader.data_received(data[start:end])


def expected(parts: list[Delivered | bytes]) -> list[Any]:
    """The parts, the bytes that follow each other joined."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


@pytest.mark.parametrize("seed", range(12))
def test_messages_and_the_bytes_of_pika_keep_their_order_in_whatever_pieces_they_arrive(seed: int) -> None:
    dice = random.Random(seed)
    parts: list[Delivered | bytes] = []
    data = b""
    for tag in range(1, 80):
        size = dice.choice([1, 20, 700, 5_000, LARGE - 1])
        one = delivered(
            tag,
            dice.randbytes(size),
            redelivered=dice.random() < 0.3,
            priority=dice.choice([None, 0, 9]),
            routing_key=dice.choice(["post.published", "airy.feeds.中文"]),
            headers=dice.choice(
                [{}, {"run": 1, "attempt": 2, "mark": "中文"}, {"x-delivery-count": 2**40, "deep": {"a": [1, None]}}]
            ),
        )
        match dice.randrange(6):
            case 0:
                raw = HEARTBEAT
            case 1:
                raw = message(one, PIKAS)
            case 2:
                raw = message(one, OURS[0], between=HEARTBEAT)
            case 3:
                raw = message(one._replace(body=one.body[:10_000] or b"a"), OURS[1], part=9_999 if size > 9_999 else 1)
                if size == 1:
                    raw = message(one._replace(body=b""), OURS[1])
            case _:
                raw = b""
        parts.append(raw or one)
        data += raw or message(one, dice.choice(OURS))
    pieces = dice.choice([40, 400, 4_000])
    stream = Stream()
    stream.feed(data, cuts=sorted(dice.sample(range(1, len(data)), min(pieces, len(data) - 1))))
    assert stream.out == expected(parts)
    assert stream.counted == len(data) - sum(len(part) for part in parts if isinstance(part, bytes))


def test_a_large_message_is_handed_to_pika_frame_by_frame() -> None:
    one = delivered(1, b"x" * LARGE)
    data = message(one, OURS[0], part=10_000)
    stream = Stream()
    stream.feed(data[:15_000], cuts=[])
    assert len(stream.out[0]) > 10_000, "it does not wait for the whole message"
    stream.feed(data[15_000:], cuts=[])
    assert stream.out == [data]


def test_without_receivers_all_bytes_are_pikas_at_once() -> None:
    stream = Stream()
    stream.feed(message(delivered(1, b"x"), OURS[0])[:50], cuts=[])
    assert stream.out == []
    stream.reader.receivers.clear()
    stream.feed(b"AMQP\0\0\x09\x01", cuts=[])
    assert stream.out == [message(delivered(1, b"x"), OURS[0])[:50] + b"AMQP\0\0\x09\x01"]


def test_after_a_receiver_has_gone_its_messages_are_pikas() -> None:
    first, second = delivered(1, b"x"), delivered(2, b"y")
    stream = Stream()

    def take_one(received: Delivered) -> None:
        stream.out.append(received)
        del stream.reader.receivers[OURS[0]]

    stream.reader.receivers[OURS[0]] = take_one
    data = message(first, OURS[0]) + message(second, OURS[0]) + HEARTBEAT
    stream.feed(data, cuts=[])
    assert stream.out == [first, message(second, OURS[0]) + HEARTBEAT]


def test_a_broken_frame_is_pikas_which_knows_what_to_do() -> None:
    data = bytearray(message(delivered(1, b"x"), OURS[0]))
    data[-1] = 0
    stream = Stream()
    stream.feed(bytes(data), cuts=[])
    assert stream.out == [bytes(data)]


def test_what_is_no_text_is_read_nevertheless() -> None:
    data = message(delivered(1, b"x"), OURS[0])
    for text in (b"post.published", b"airy-signature", b"v1:0:abc"):
        data = data.replace(text, text[:-1] + b"\xff")
    stream = Stream()
    stream.feed(data, cuts=[])
    (received,) = stream.out
    assert received.routing_key == "post.publishe\ufffd"
    assert received.headers == {"run": 0, "attempt": 1, "airy-signatur\ufffd": "v1:0:ab\ufffd"}
