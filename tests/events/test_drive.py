"""What leaves in one go arrives as it was written."""

from __future__ import annotations

import pytest

from events.brokers.drive import PARCEL
from events.brokers.publisher import Outgoing, Publisher
from tests.events.places import only, our_broker, waiting_messages
from tests.events.test_consumer import leave_effect


@pytest.mark.rabbitmq
@pytest.mark.usefixtures("vhost")
def test_messages_of_any_size_arrive_whole_and_in_order() -> None:
    broker = our_broker()
    sizes = [1, PARCEL, 7, 5 * PARCEL, *range(500), 20 * PARCEL, PARCEL - 1]
    with only(broker, leave_effect) as subscription:
        publisher = Publisher(broker)
        for _ in range(2):
            publisher.publish(
                [
                    Outgoing("", subscription.queue, bytes([number % 256]) * size, str(number))
                    for number, size in enumerate(sizes)
                ]
            )
        publisher.close()
        arrived = waiting_messages(subscription.queue)
    assert [(len(body), set(body)) for body in arrived] == 2 * [
        (size, {number % 256} if size else set()) for number, size in enumerate(sizes)
    ]
