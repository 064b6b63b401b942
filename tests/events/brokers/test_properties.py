"""Properties: the bytes are those that pika makes of the same properties."""

import pika
import pytest

from events.brokers.amqp.properties import OutgoingProperties
from events.brokers.contract import Outgoing


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"run": 0, "attempt": 1, "airy-signature": "v1:0:abc"},
        {"run": -1, "attempt": 2**31, "words": "中文", "rate": True, "nothing": None, "raw": b"\0"},
    ],
)
def test_properties_are_encoded_as_pika_does_and_read_back_equal(headers):
    message = Outgoing("post.published", "", b"{}", "123456", 9, headers)
    encoded = b"".join(OutgoingProperties(message).encode())
    same = pika.BasicProperties(
        content_type="application/cloudevents+json",
        delivery_mode=2,
        priority=9,
        message_id="123456",
        headers=headers,
    )
    assert encoded == b"".join(same.encode())
    read = pika.BasicProperties().decode(encoded)
    assert (read.headers, read.priority, read.message_id, read.delivery_mode) == (headers, 9, "123456", 2)
